"""Asks TON's C++ client what it sees; run by test_tonlib.py in a process of its own.

Takes a JSON object on standard input (library, config, addresses), prints one.
"""

import ctypes
import json
import sys
import time


class Tonlib:
    def __init__(self, library: str) -> None:
        self._lib = ctypes.CDLL(library)
        self._lib.tonlib_client_json_create.restype = ctypes.c_void_p
        self._lib.tonlib_client_json_send.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._lib.tonlib_client_json_receive.restype = ctypes.c_char_p
        self._lib.tonlib_client_json_receive.argtypes = [ctypes.c_void_p, ctypes.c_double]
        self._lib.tonlib_client_set_verbosity_level(0)
        self._client = self._lib.tonlib_client_json_create()
        self._asked = 0

    def ask(self, kind: str, **fields: object) -> dict:
        self._asked += 1
        extra = str(self._asked)
        query = {"@type": kind, "@extra": extra} | fields
        self._lib.tonlib_client_json_send(self._client, json.dumps(query).encode())
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            said = self._lib.tonlib_client_json_receive(self._client, 1.0)
            answer = json.loads(said) if said else {}
            if answer.get("@extra") == extra:
                return answer
        return {"@type": "error", "message": f"no answer to {kind}"}


def main() -> None:
    asked = json.load(sys.stdin)
    tonlib = Tonlib(asked["library"])
    config = {
        "config": json.dumps(asked["config"]),
        "blockchain_name": "",
        "use_callbacks_for_network": False,
        "ignore_cache": True,
    }
    keystore = {"@type": "keyStoreTypeInMemory"}
    saw = {"init": tonlib.ask("init", options={"config": config, "keystore_type": keystore})}
    saw["sync"] = tonlib.ask("sync")
    for address in asked["addresses"]:
        account = {"account_address": address}
        state = tonlib.ask("raw.getAccountState", account_address=account)
        saw[address] = {"state": state}
        last = state.get("last_transaction_id")
        if last and last["lt"] != "0":
            saw[address]["transactions"] = tonlib.ask(
                "raw.getTransactions", account_address=account, from_transaction_id=last
            )
    wallet = tonlib.ask("smc.load", account_address={"account_address": asked["addresses"][0]})
    saw["seqno"] = tonlib.ask(
        "smc.runGetMethod",
        id=wallet.get("id", 0),
        method={"@type": "smc.methodIdName", "name": "seqno"},
        stack=[],
    )
    if asked["message"]:
        saw["sent"] = tonlib.ask("raw.sendMessage", body=asked["message"])
    sys.stdout.write(json.dumps(saw))


main()
