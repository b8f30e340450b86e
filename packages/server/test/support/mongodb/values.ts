/**
 * Values of BSON, as the tables write them.
 */
import { Decimal128, Double, EJSON, Int32, Long, ObjectId } from "bson"

export const int = (value: number): Int32 => new Int32(value)
export const double = (value: number): Double => new Double(value)
export const long = (text: string): Long => Long.fromString(text)
export const decimal = (text: string): Decimal128 => Decimal128.fromString(text)
export const date = (millis: number): Date => new Date(millis)
export const id = (digit: number): ObjectId => new ObjectId(String(digit).padStart(24, "0"))

/** The text of a value that tells the type of each number, which a comparison of fields would not see. */
export const exactly = (value: unknown): string => EJSON.stringify(value, { relaxed: false })
