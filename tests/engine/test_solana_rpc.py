"""The Solana stand-in's JSON-RPC itself: forms of calls, errors, limits."""

import http.client
import json
import socket
from base64 import b64encode

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from infra.local.json_rpc import RpcRefused, record, sequence
from infra.local.solana_node import Solana
from tests.engine.solana_scene import SOL, Scene, pay, play

pytestmark = pytest.mark.engine
_TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
_KEY = str(Keypair().pubkey())


def _post(node: Solana, body: bytes, method: str = "POST") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(node.host, node.port, timeout=10)
    try:
        connection.request(method, "/", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "body, code",
    [
        (b"{", -32_700),
        (b"[" * 20_000, -32_700),
        (b"[]", -32_600),
        (b'"text"', -32_600),
        (b'{"jsonrpc":"2.0","id":1}', -32_600),
        (b'{"jsonrpc":"2.0","id":1,"method":"getNothing"}', -32_601),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":{}}', -32_602),
        (b"[" + b",".join([b"1"] * 101) + b"]", -32_600),
    ],
)
def test_a_call_that_is_none_gets_the_protocol_s_error(
    solana_node: Solana, body: bytes, code: int
) -> None:
    status, answer = _post(solana_node, body)
    assert status == 200
    assert json.loads(answer)["error"]["code"] == code


def test_a_batch_is_answered_in_its_order(solana_node: Solana) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": "a", "method": "getHealth"},
        {"jsonrpc": "2.0", "id": "b", "method": "getNothing"},
        {"jsonrpc": "2.0", "id": "c", "method": "getBalance", "params": [_KEY]},
    ]
    _, answer = _post(solana_node, json.dumps(calls).encode())
    found = json.loads(answer)
    assert [row["id"] for row in found] == ["a", "b", "c"]
    assert ["result" in row for row in found] == [True, False, True]


def test_a_body_over_the_limit_and_other_verbs_are_turned_away(solana_node: Solana) -> None:
    assert _post(solana_node, b" " * (50 * 1024 + 1))[0] == 413
    assert _post(solana_node, b"", "PUT")[0] == 405


def test_the_node_listens_on_loopback_only(solana_node: Solana) -> None:
    address = socket.gethostbyname(socket.gethostname())
    others = {address, "127.0.0.2"} - {"127.0.0.1"}
    for other in others:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((other, solana_node.port)) != 0


@pytest.mark.parametrize(
    "method, params",
    [
        ("getBalance", []),
        ("getBalance", ["not a key"]),
        ("getBalance", [7]),
        ("getBalance", [_KEY, {"commitment": "sure"}]),
        ("getBalance", [_KEY, "confirmed"]),
        ("getAccountInfo", [_KEY, {"encoding": "base65"}]),
        ("getMultipleAccounts", [[_KEY] * 101]),
        ("getMultipleAccounts", ["x"]),
        ("getProgramAccounts", [_TOKEN, {"filters": [{"dataSize": -1}]}]),
        ("getProgramAccounts", [_TOKEN, {"filters": [{"dataSize": 1}] * 5}]),
        ("getProgramAccounts", [_TOKEN, {"filters": [{"memcmp": {"offset": 0, "bytes": "0"}}]}]),
        ("getProgramAccounts", [_TOKEN, {"filters": [{"memcmp": {"bytes": [300]}}]}]),
        ("getTokenAccountBalance", [_KEY]),
        ("getTokenSupply", [_KEY]),
        ("getTokenAccountsByOwner", [_KEY, {"programId": _KEY}]),
        ("getTokenAccountsByOwner", [_KEY, {"mint": _KEY}]),
        ("getTokenAccountsByOwner", [_KEY, {}]),
        ("getSignatureStatuses", [["1" * 64] * 257]),
        ("getSignatureStatuses", [["short"]]),
        ("getTransaction", [_KEY]),
        ("getTransaction", ["1" * 64, {"commitment": "processed"}]),
        ("getSignaturesForAddress", [_KEY, {"limit": 1_001}]),
        ("getSignaturesForAddress", [_KEY, {"limit": 0}]),
        ("getSignaturesForAddress", [_KEY, {"commitment": "processed"}]),
        ("getBlocks", [0, 500_001]),
        ("getBlock", ["1"]),
        ("getBlock", [True]),
        ("getBlock", [0, {"encoding": "xml"}]),
        ("getBlock", [0, {"transactionDetails": "some"}]),
        ("getFeeForMessage", ["AAAA"]),
        ("sendTransaction", ["0OIl"]),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}]),
        ("sendTransaction", ["AAAA", {"encoding": "hex"}]),
        ("sendTransaction", [b64encode(bytes(1_300)).decode(), {"encoding": "base64"}]),
        ("sendTransaction", ["1" * 2_000]),
        ("simulateTransaction", [5]),
        ("requestAirdrop", [_KEY, 0]),
        ("requestAirdrop", [_KEY, 10**30]),
        ("getMinimumBalanceForRentExemption", [2**40]),
        ("isBlockhashValid", ["?"]),
        ("getRecentPrioritizationFees", [[_KEY] * 129]),
        ("local_advance", [0]),
        ("local_advance", [10_001]),
        ("local_skip", [-1]),
        ("local_fork", [10_001]),
        ("local_clock", [-1]),
        ("local_clock", [10**9]),
    ],
)
def test_false_parameters_are_refused(
    solana_node: Solana, method: str, params: list[object]
) -> None:
    with pytest.raises(RpcRefused) as caught:
        solana_node.rpc.call(method, *params)
    assert caught.value.code == -32_602


def test_a_context_slot_that_is_not_reached_is_refused(solana_node: Solana) -> None:
    options = {"minContextSlot": 10**9}
    with pytest.raises(RpcRefused) as caught:
        solana_node.rpc.call("getBalance", _KEY, options)
    assert caught.value.code == -32_016


def test_an_account_is_shown_in_the_wanted_encoding(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        mint = await scene.token(payer)

        def data(**options: object) -> object:
            answer = record(
                solana_node.rpc.call(
                    "getAccountInfo", str(mint), {"commitment": "processed", **options}
                )
            )
            return record(answer["value"])["data"]

        raw = sequence(data(encoding="base64"))
        assert raw[1] == "base64"
        assert sequence(data(encoding="base58"))[1] == "base58"
        assert isinstance(data(), str)
        piece = {"offset": 44, "length": 1}
        assert data(encoding="base64", dataSlice=piece) == ["Bg==", "base64"]
        account = await scene.holding(payer, mint, payer.pubkey())
        with pytest.raises(RpcRefused, match="Base64") as caught:
            solana_node.rpc.call("getAccountInfo", str(account), {"commitment": "processed"})
        assert caught.value.code == -32_600

    play(solana_node, story)


def test_both_encodings_of_a_transaction_are_taken(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        level = {"preflightCommitment": "processed", "maxRetries": 0}
        one = await scene.signed([pay(payer, to, SOL)], [payer])
        solana_node.rpc.call("sendTransaction", _base58(bytes(one)), level)
        two = await scene.signed([pay(payer, to, 2 * SOL)], [payer])
        text = b64encode(bytes(two)).decode()
        solana_node.rpc.call("sendTransaction", text, {**level, "encoding": "base64"})
        balance = record(solana_node.rpc.call("getBalance", str(to), {"commitment": "processed"}))
        assert balance["value"] == 3 * SOL

    play(solana_node, story)


def _base58(raw: bytes) -> str:
    """Written here once more, so that the server's own writing is not its judge."""
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def test_a_simulation_takes_another_blockhash_and_shows_accounts(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        unsigned = await scene.signed([pay(payer, to, SOL)], [payer], blockhash=_old_hash())
        text = b64encode(bytes(unsigned)).decode()
        options = {
            "encoding": "base64",
            "commitment": "processed",
            "replaceRecentBlockhash": True,
            "accounts": {"addresses": [str(to)], "encoding": "base64"},
            "innerInstructions": True,
        }
        answer = record(solana_node.rpc.call("simulateTransaction", text, options))
        value = record(answer["value"])
        assert value["err"] is None
        assert record(sequence(value["accounts"])[0])["lamports"] == SOL
        assert record(value["replacementBlockhash"])["blockhash"] == str(await scene.blockhash())
        del options["replaceRecentBlockhash"]
        answer = record(solana_node.rpc.call("simulateTransaction", text, options))
        assert record(answer["value"])["err"] == "BlockhashNotFound"

    play(solana_node, story)


def _old_hash() -> Hash:
    return Hash(bytes(Pubkey.new_unique()))
