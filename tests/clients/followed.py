"""The other clients on a tape that is being recorded, one connection to the exchange for all of them: `replay --follow`."""

import asyncio
import subprocess
import tempfile
import time

import sample
import upbit_sdk_client
from local_exchange import local_exchange
from recorded import MARKET, check_ccxt, check_pyupbit, recording

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory, local_exchange(*MARKET) as address:
        recorder = subprocess.Popen(recording(directory, address))
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
            recorder.terminate()
            assert recorder.wait(15) == 0
