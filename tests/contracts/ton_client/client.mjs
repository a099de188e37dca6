// What a user of @ton/ton does with a network: read, ask, send. Prints what it saw as JSON.
import { mnemonicToPrivateKey } from "@ton/crypto";
import { Address, internal, SendMode, toNano } from "@ton/core";
import { TonClient, WalletContractV4, WalletContractV5R1 } from "@ton/ton";

const [url, words, friend, network] = process.argv.slice(2);
const client = new TonClient({ endpoint: `${url}/api/v2/jsonRPC` });
const key = await mnemonicToPrivateKey(words.split(" "));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function use(wallet, amount) {
  const contract = client.open(wallet);
  const before = await contract.getBalance();
  const deployedBefore = await client.isContractDeployed(wallet.address);
  const transfer = {
    secretKey: key.secretKey,
    seqno: await contract.getSeqno(),
    sendMode: SendMode.PAY_GAS_SEPARATELY + SendMode.IGNORE_ERRORS,
    messages: [internal({ to: Address.parse(friend), value: amount, bounce: false, body: "hello" })],
  };
  const fee = await client.estimateExternalMessageFee(wallet.address, {
    body: await contract.createTransfer(transfer),
    initCode: wallet.init.code,
    initData: wallet.init.data,
    ignoreSignature: true,
  });
  await contract.sendTransfer(transfer);
  while ((await contract.getSeqno()) === transfer.seqno) await pause(50);
  const [newest] = await client.getTransactions(wallet.address, { limit: 1 });
  const publicKey = await client.runMethod(wallet.address, "get_public_key");
  return {
    address: wallet.address.toRawString(),
    before: before.toString(),
    deployed_before: deployedBefore,
    after: (await contract.getBalance()).toString(),
    seqno: await contract.getSeqno(),
    gas_fee: fee.source_fees.gas_fee,
    paid: newest.totalFees.coins.toString(),
    sent: newest.outMessages.get(0).info.value.coins.toString(),
    lt: newest.lt.toString(),
    public_key: publicKey.stack.readBigNumber().toString(16).padStart(64, "0"),
  };
}

const workchain = 0;
const publicKey = key.publicKey;
const v4 = await use(WalletContractV4.create({ workchain, publicKey }), toNano("1"));
const v5 = await use(
  WalletContractV5R1.create({
    publicKey,
    walletId: { networkGlobalId: Number(network), context: { workchain, walletVersion: "v5r1", subwalletNumber: 0 } },
  }),
  toNano("2"),
);
const last = await client.getMasterchainInfo();
const shards = await client.getWorkchainShards(last.latestSeqno);
const received = await client.getTransactions(Address.parse(friend), { limit: 10 });
const source = received[0].inMessage.info;
const located = await client.tryLocateSourceTx(source.src, source.dest, source.createdLt.toString());
const state = await client.getContractState(Address.parse(friend));
let blockTransactions = 0;
for (let seqno = 1; seqno <= last.latestSeqno; seqno++) {
  blockTransactions += (await client.getShardTransactions(0, seqno, shards[0].shard)).length;
}
console.log(
  JSON.stringify({
    v4,
    v5,
    seqno: last.latestSeqno,
    shards: shards.map((shard) => [shard.workchain, shard.shard, shard.seqno]),
    friend: (await client.getBalance(Address.parse(friend))).toString(),
    friend_state: state.state,
    received: received.map((each) => each.inMessage.info.value.coins.toString()),
    located: located.lt.toString(),
    block_transactions: blockTransactions,
    nobody_deployed: await client.isContractDeployed(Address.parse(`0:${"ee".repeat(32)}`)),
  }),
);
