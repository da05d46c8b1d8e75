// Amounts are decimal text. Sums use BigInt: a JavaScript number would lose the last digits of a coin.
const FORM = /^(-?)(\d{1,60})(?:\.(\d{1,40}))?$/;

export function parse(text) {
  const found = FORM.exec(text);
  if (!found) throw new RangeError(`not a decimal amount: ${text}`);
  const places = (found[3] ?? "").length;
  const units = BigInt(found[2] + (found[3] ?? ""));
  return { units: found[1] ? -units : units, places };
}

function scaled(amount, places) {
  return amount.units * 10n ** BigInt(places - amount.places);
}

export function add(left, right) {
  const places = Math.max(left.places, right.places);
  return { units: scaled(left, places) + scaled(right, places), places };
}

export const ZERO = { units: 0n, places: 0 };

export function text(amount) {
  const negative = amount.units < 0n;
  const digits = String(negative ? -amount.units : amount.units).padStart(amount.places + 1, "0");
  const whole = digits.slice(0, digits.length - amount.places);
  const fraction = amount.places ? `.${digits.slice(-amount.places)}` : "";
  return `${negative ? "-" : ""}${whole}${fraction}`;
}

export function larger(left, right) {
  const places = Math.max(left.places, right.places);
  return scaled(left, places) >= scaled(right, places) ? left : right;
}

// How much of `whole` a part is, in whole thousandths, rounded down: for pictures only.
export function thousandths(part, whole) {
  const places = Math.max(part.places, whole.places);
  const most = scaled(whole, places);
  return most > 0n ? Number((scaled(part, places) * 1000n) / most) : 0;
}
