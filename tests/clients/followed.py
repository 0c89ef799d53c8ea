"""The other clients on a tape that is being recorded, one connection to the exchange for all of them: `replay --follow`."""

import asyncio
import subprocess
import tempfile
import time

import sample
import upbit_sdk_client
from local_exchange import local_exchange, recorder
from recorded import CODES, check_ccxt, check_pyupbit


def record(directory, address):
    subscribe = ",".join(
        f'{{type="{kind}",codes={CODES}}}'.replace("'", '"') for kind in ["ticker", "trade", "orderbook", "candle.1s"]
    )
    settings = [
        f"data_dir={directory}",
        f"public.url=ws://{address}/websocket/v1",
        f"rest.url=http://{address}/v1",
        f"public.subscribe=[{subscribe}]",
        "rest.heal_max=0",
        "http.listen=",
        "log.level=error",
    ]
    return subprocess.Popen(recorder("record", *[part for it in settings for part in ["--set", it]]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory, local_exchange("--codes", "300", "--rate", "10000", "--no-limits") as address:
        recording = record(directory, address)
        try:
            # Candles of the last minutes are wanted, and are made of what has come.
            time.sleep(30)
            with local_exchange("--from", directory, "--follow", "--no-limits") as followed:
                sample.check_public(followed)
                sample.check_refusal(followed)
                asyncio.run(asyncio.wait_for(check_ccxt(followed), 60))
                check_pyupbit(followed)
                upbit_sdk_client.check_stream(followed)
                upbit_sdk_client.check_rest(followed, keys=False)
        finally:
            recording.terminate()
            assert recording.wait(15) == 0
