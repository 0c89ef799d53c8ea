"""Clients that subscribe, and note how long after its send each frame came. Of benches/desk."""

import json
import re
import sys
import threading
import time

import websocket

url, count, request = sys.argv[1], int(sys.argv[2]), sys.argv[3]

# Of frames that are sent together at the beginning, as fast as they are taken.
NOT_TIMED = 1_000_000_000_000_000

SENT = re.compile(rb'"sent":(\d{16})')


def hear(delays):
    client = websocket.create_connection(url, suppress_origin=True)
    client.send(request)
    ready.wait()
    while True:
        frame = client.recv()
        now = time.time_ns() // 1_000
        sent = int(SENT.search(frame)[1])
        if sent != NOT_TIMED:
            delays.append(now - sent)
        if b"KRW-END" in frame:
            return


ready = threading.Barrier(count + 1)
heard = [[] for _ in range(count)]
threads = [threading.Thread(target=hear, args=(delays,)) for delays in heard]
for thread in threads:
    thread.start()
ready.wait()
time.sleep(1)
print("subscribed", flush=True)
for thread in threads:
    thread.join()
first = sorted(heard[0])
at = [first[int((len(first) - 1) * share)] for share in (0.5, 0.99, 1)]
print(json.dumps({"count": sum(map(len, heard)), "p50": at[0], "p99": at[1], "max": at[2]}))
