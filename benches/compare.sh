#!/usr/bin/env bash
# Compares dingmap with other programs. Writes the results to benches/RESULTS.md and, for the part
# `growth`, to benches/*.svg.
#
#   benches/compare.sh [PART…] [--runs N] [--long-runs N] [--quick]
#
# PART is any of calls, known, memory, quota, plan, size and growth; the default is all. Figures are
# medians of N runs (default 5); within each run dingmap and the other programs take turns. Runs
# with ten million rows and calls take minutes; --long-runs (default 1) is their number. --quick
# tests the scripts: one run with small inputs, written to target/compare/quick. `size`, if named,
# also times one clean build.
#
# Needs a quiet Linux machine with two or more cores, 8 GB of memory and 8 GB of disk. It installs
# what is missing: oha, xan and xsv with cargo, aiohttp and matplotlib with pip (all in
# target/peers), and nginx, wrk, hey and openssl with apt.
# DINGMAP=FILE measures that executable and skips the build.
set -euo pipefail
[ -z "${DINGMAP:-}" ] || DINGMAP=$(realpath "$DINGMAP")
cd "$(dirname "$0")/.."

if [[ " $* " == *" --help "* ]]; then
    sed -n '2,/^set /s/^# \{0,1\}//p' benches/compare.sh
    exit
fi

# Compiling oha, xan and xsv takes minutes each, so only what the named parts need is installed.
named=" $* "
runs_part() {
    [[ ! $named =~ \ (calls|known|memory|quota|plan|size|growth)\  ]] || [[ $named == *" $1 "* ]]
}
crates=()
if runs_part calls; then crates+=(oha); fi
if runs_part known || runs_part plan; then crates+=(xan xsv); fi
for crate in "${crates[@]}"; do
    [ -x "target/peers/bin/$crate" ] || cargo install --locked --root target/peers "$crate"
done

packages=()
command -v wrk >/dev/null || packages+=(wrk)
command -v hey >/dev/null || packages+=(hey)
command -v openssl >/dev/null || packages+=(openssl)
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
"$python" -c "import aiohttp, matplotlib" 2>/dev/null ||
    "$python" -m pip install --quiet aiohttp matplotlib

if [ -z "${DINGMAP:-}" ]; then
    cargo build --release --locked --target-dir target
    DINGMAP=$(realpath target/release/dingmap)
fi
DINGMAP=$DINGMAP PYTHONPATH=benches PYTHONDONTWRITEBYTECODE=1 exec "$python" -m compare "$@"
