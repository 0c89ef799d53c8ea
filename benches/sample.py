"""The exchange's own Python sample as a recorder: websocket-client, json.loads, and the frame appended to a file.

    sample.py URL FILE [CERTIFICATE]      it goes on until it is ended
"""

import json
import sys

import websocket

url, path, *certificate = sys.argv[1:]
file = open(path, "xb", buffering=0)


def on_open(ws):
    ws.send('[{"ticket":"sample"},{"type":"trade","codes":["KRW-BTC"]}]')


def on_message(ws, message):
    json.loads(message.decode("utf-8"))
    file.write(message + b"\n")


app = websocket.WebSocketApp(url, on_open=on_open, on_message=on_message)
app.run_forever(suppress_origin=True, sslopt={"ca_certs": certificate[0]} if certificate else None)
