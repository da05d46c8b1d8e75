// Reads payment links back by parsers that nobody here wrote; one JSON object a line in and out.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const bip21 = require("bip21");
const ethereum = require("eth-url-parser");
const { TronWeb } = require("tronweb");
const { parseURL } = await import(require.resolve("@solana/pay"));

const readers = {
  bitcoin: (link) => bip21.decode(link),
  ethereum: (link) => ethereum.parse(link),
  solana: (link) => ({ ...parseURL(link) }),
  // No package parses Tron links, because there is no standard: tronweb judges the addresses.
  tron: (link) => {
    const url = new URL(link);
    const token = url.searchParams.get("token");
    return {
      recipient: url.pathname,
      recipientValid: TronWeb.isAddress(url.pathname),
      token,
      tokenValid: token === null ? null : TronWeb.isAddress(token),
      sun: String(TronWeb.toSun(url.searchParams.get("amount"))),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { chain, link } = JSON.parse(line);
  console.log(JSON.stringify(readers[chain](link)));
}
