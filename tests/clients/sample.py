"""A client in the shape of the exchange's own Python sample, on both endpoints, in every format.

The sample is the one of docs.upbit.com ("WebSocket usage"): websocket-client's WebSocketApp with callbacks, PyJWT for the
private endpoint. Only the address differs.
"""

import json
import time
import uuid

import jwt
import websocket

from local_exchange import ACCESS_KEY, SECRET_KEY, local_exchange

FORMATS = ["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"]
PUBLIC = [
    {"type": "ticker", "codes": ["KRW-BTC", "BTC-ETH"]},
    {"type": "trade", "codes": ["KRW-BTC"]},
    {"type": "orderbook", "codes": ["KRW-BTC.15"]},
    {"type": "candle.1s", "codes": ["KRW-BTC"]},
]
PRIVATE = [{"type": "myOrder"}, {"type": "myAsset"}]


def record(url, request, enough, headers=None):
    """Runs the sample until `enough` says of what was received that it is; returns frames and errors."""
    frames, errors, closes = [], [], []

    def on_open(ws):
        ws.send(json.dumps(request))

    def on_message(ws, message):
        assert isinstance(message, bytes), "the exchange sends binary frames"
        frames.append(json.loads(message.decode("utf-8")))
        if enough(frames):
            ws.close()

    def on_error(ws, error):
        errors.append(error)

    def on_close(ws, code, reason):
        closes.append(code)

    app = websocket.WebSocketApp(
        url, header=headers, on_open=on_open, on_message=on_message, on_error=on_error, on_close=on_close
    )
    app.run_forever(suppress_origin=True)
    return frames, errors, closes


def objects(frames):
    return [item for frame in frames for item in (frame if isinstance(frame, list) else [frame])]


def kinds(frames, key):
    return {item.get(key) for item in objects(frames)}


def request_of(types, form):
    return [{"ticket": str(uuid.uuid4())}, *types, {"format": form}]


def check_public(address):
    for form in FORMATS:
        key = "ty" if form.startswith("SIMPLE") else "type"
        wanted = {part["type"] for part in PUBLIC}
        enough = lambda frames: len(frames) > 50 and kinds(frames, key) == wanted
        frames, errors, _ = record(f"ws://{address}/websocket/v1", request_of(PUBLIC, form), enough)
        assert not errors, errors
        assert all(isinstance(frame, list) == form.endswith("LIST") for frame in frames), form
        stream = [item["st" if key == "ty" else "stream_type"] for item in objects(frames)]
        assert stream == sorted(stream, key="SNAPSHOT REALTIME".split().index), "snapshots come first"
        print("  public", form, len(frames), "frames")


def token(**changes):
    claims = {"access_key": ACCESS_KEY, "nonce": str(uuid.uuid4()), **changes}
    return "Bearer " + jwt.encode(claims, SECRET_KEY, algorithm="HS512")


def check_private(address):
    url = f"ws://{address}/websocket/v1/private"
    for form in FORMATS:
        key = "ty" if form.startswith("SIMPLE") else "type"
        enough = lambda frames: kinds(frames, key) == {"myOrder", "myAsset"}
        headers = {"Authorization": token()}
        frames, errors, _ = record(url, request_of(PRIVATE, form), enough, headers)
        assert frames and not errors, errors
        print("  private", form, len(frames), "frames")
    time.sleep(1)  # five connects a second are allowed
    used = {"Authorization": token()}
    record(url, request_of(PRIVATE, "DEFAULT"), lambda frames: True, used)
    for name, headers in [("nothing", {}), ("a used nonce", used), ("another key", {"Authorization": token(access_key="x")})]:
        _, errors, _ = record(url, request_of(PRIVATE, "DEFAULT"), lambda frames: True, headers)
        assert errors and errors[0].status_code == 401, (name, errors)
        print("  private with", name, "is refused")


def check_refusal(address):
    request = [{"ticket": "t"}, {"type": "ticker"}]
    frames, _, closes = record(f"ws://{address}/websocket/v1", request, lambda frames: False)
    assert frames[0]["error"]["name"] == "NO_CODES" and closes == [1000], (frames, closes)
    print("  an error is told, then close 1000")


if __name__ == "__main__":
    with local_exchange("--codes", "300", "--rate", "10000") as address:
        check_public(address)
        time.sleep(1)
        check_private(address)
        time.sleep(1)
        check_refusal(address)
