/** Which addresses belong to the public Internet, by the registries of special-purpose addresses (RFC 6890). */
import { BlockList, isIP } from "node:net"

const special = new BlockList()
for (
  const [network, prefix] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.88.99.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
    ["224.0.0.0", 3]
  ] as const
) special.addSubnet(network, prefix, "ipv4")
for (
  const [network, prefix] of [
    ["::", 96],
    // What is translated or tunnelled may lead to a private IPv4 address.
    ["64:ff9b::", 96],
    ["64:ff9b:1::", 48],
    ["100::", 64],
    ["2001::", 23],
    ["2001:db8::", 32],
    ["2002::", 16],
    ["3fff::", 20],
    ["5f00::", 16],
    ["fc00::", 7],
    ["fe80::", 10],
    ["fec0::", 10],
    ["ff00::", 8]
  ] as const
) special.addSubnet(network, prefix, "ipv6")

/** Whether an address can be that of a host on the Internet; an IPv4 address in IPv6 notation is what it is in IPv4. */
export const isPublic = (address: string): boolean => {
  const family = isIP(address)
  return family !== 0 && !address.includes("%") && !special.check(address, family === 6 ? "ipv6" : "ipv4")
}
