#!/usr/bin/env bash
# Measures dingmap against its peers and writes what was found into benches/RESULTS.md and, for growth, benches/*.svg.
#
#   benches/compare.sh [PART…] [--runs N] [--long-runs N] [--quick]
#
# PART is any of calls, known, memory, quota, plan, size and growth; without one, all of them. Figures are medians of N runs
# (5), in each of which dingmap and its peers take turns; runs of ten million rows that ask a server take minutes, and
# --long-runs (1) says how many there are. --quick tries the harness itself: one run of small sizes, written to
# target/compare/quick. `size` by its name also times one clean build.
#
# For a quiet Linux machine with two cores or more, 8 GB of memory and 8 GB of disk. What is missing is installed: oha, xan
# and xsv by cargo and aiohttp and matplotlib by pip, all under target/peers; wrk, hey and nginx by apt.
# DINGMAP=FILE measures that executable and skips the build.
set -euo pipefail
[ -z "${DINGMAP:-}" ] || DINGMAP=$(realpath "$DINGMAP")
cd "$(dirname "$0")/.."

if [[ " $* " == *" --help "* ]]; then
    sed -n '2,/^set /s/^# \{0,1\}//p' benches/compare.sh
    exit
fi

for peer in oha xan xsv; do
    [ -x "target/peers/bin/$peer" ] || cargo install --locked --root target/peers "$peer"
done

packages=()
command -v wrk >/dev/null || packages+=(wrk)
command -v hey >/dev/null || packages+=(hey)
command -v nginx >/dev/null || packages+=(nginx-light)
[ -e /usr/lib/nginx/modules/ngx_http_echo_module.so ] || packages+=(libnginx-mod-http-echo)
if [ ${#packages[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update
    "${root[@]}" apt-get install --yes --no-install-recommends "${packages[@]}"
fi

python=target/peers/venv/bin/python
[ -x "$python" ] || python3 -m venv target/peers/venv
"$python" -c "import aiohttp, matplotlib" 2>/dev/null || "$python" -m pip install --quiet aiohttp matplotlib

if [ -z "${DINGMAP:-}" ]; then
    cargo build --release --locked --target-dir target
    DINGMAP=$(realpath target/release/dingmap)
fi
DINGMAP=$DINGMAP PYTHONPATH=benches PYTHONDONTWRITEBYTECODE=1 exec "$python" -m compare "$@"
