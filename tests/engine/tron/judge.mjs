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
  // Bytes of the message Transaction as the code reads them that is generated from Tron's definitions.
  wire: () => ({
    read: (hex, kind) => {
      const { Transaction } = globalThis.TronWebProto
      const shown = (bytes) => utils.bytes.byteArray2hexStr(bytes).toLowerCase()
      const message = Transaction.deserializeBinary(utils.code.hexStr2byteArray(hex))
      const rawHex = utils.transaction.txPbToRawDataHex(message).toLowerCase()
      const txid = utils.transaction.txPbToTxID(message).replace(/^0x/, '')
      const signatures = message.getSignatureList_asU8().map(shown)
      return {
        txid,
        raw_data_hex: rawHex,
        raw_data: utils.deserializeTx.deserializeTransaction(kind, rawHex),
        signers: signatures.map((one) => TronWeb.address.fromHex(utils.crypto.ecRecover(txid, one))),
        again: shown(message.serializeBinary()),
      }
    },
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
