// tronweb, driven by lines of JSON: {"url", "target", "method", "args", "key"} in,
// {"value"} or {"error"} out. Its folder is the first argument.
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const { TronWeb, utils } = await import(pathToFileURL(`${process.argv[2]}/lib/esm/index.js`).href)

const targets = {
  address: () => TronWeb.address,
  account: () => TronWeb,
  transactions: () => utils.transaction,
  trx: (web) => web.trx,
  builder: (web) => web.transactionBuilder,
  // What tronweb itself makes of a transaction's JSON: its bytes and its id.
  again: () => ({
    id: (transaction) => utils.transaction.txPbToTxID(utils.transaction.txJsonToPb(transaction)),
    raw: (transaction) =>
      utils.transaction.txPbToRawDataHex(utils.transaction.txJsonToPb(transaction)),
    recovered: (transaction, signature) =>
      TronWeb.address.fromHex(utils.crypto.ecRecover(transaction.txID, signature)),
  }),
  // A contract through tronweb's own ABI coding.
  contract: (web) => ({
    view: async (abi, address, method, ...args) =>
      String(await web.contract(abi, address)[method](...args).call()),
  }),
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const { url, target, method, args, key } = JSON.parse(line)
    const web = new TronWeb({ fullHost: url, ...(key ? { privateKey: key } : {}) })
    const value = await targets[target](web)[method](...args)
    answer = { value: value ?? null }
  } catch (problem) {
    answer = { error: String(problem?.message ?? problem) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
