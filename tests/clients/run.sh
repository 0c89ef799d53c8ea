#!/bin/sh
# Lets clients that other people wrote loose on `upbit-recorder replay`, and fails if one of them is not served.
#
#   tests/clients/run.sh                 all of them
#   tests/clients/run.sh sample          only sample.py: the exchange's own sample (websocket-client, PyJWT)
#                                        others: ccxt_client, pyupbit_client, upbit_sdk_client (the exchange's own),
#                                        recorded (all of them on a recording, with `replay --from`), followed (all of
#                                        them on a tape that is being recorded, with `replay --follow`)
#
# Each script starts a replay of its own on a free port. Needs python3 with venv and pip, and a network for the first
# run: the packages of requirements.txt are installed into a virtual environment in the target folder.
# UPBIT_RECORDER names another program than target/debug/upbit-recorder.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${UPBIT_RECORDER:-}" ]; then
    cargo build --quiet --bin upbit-recorder
    UPBIT_RECORDER="$PWD/target/debug/upbit-recorder"
fi
export UPBIT_RECORDER
venv="$PWD/target/clients-venv"
if ! cmp -s tests/clients/requirements.txt "$venv/installed.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/clients/requirements.txt
    cp tests/clients/requirements.txt "$venv/installed.txt"
fi
for client in ${1:-sample ccxt_client pyupbit_client upbit_sdk_client recorded followed}; do
    echo "== $client"
    "$venv/bin/python" "tests/clients/$client.py"
done
echo "all clients were served"
