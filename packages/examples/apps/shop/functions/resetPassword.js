// Sets a new password for whoever proves to know the present one. A real shop would send a mail and answer "pending".
exports = function({ currentPasswordValid }) {
  return { status: currentPasswordValid ? "success" : "fail" }
}
