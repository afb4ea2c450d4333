#!/usr/bin/env bash
# Makes samples/recording.svg anew: a run of the program as it is, in a terminal of 100 columns and
# 20 rows, recorded by termtosvg. Needs cargo, Python 3 and PyPI. DINGMAP may name an executable to
# record instead of building one.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
if [[ -z ${DINGMAP:-} ]]; then
    cargo build --locked --release
    DINGMAP=target/release/dingmap
fi
workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT
python3 -m venv "$workdir/tools"
"$workdir/tools/bin/pip" install --quiet termtosvg==1.1.0 'setuptools<81'

# The run has a directory of its own, where the same command gives the same output.
mkdir -p "$workdir/bin" "$workdir/work/samples"
cp "$DINGMAP" "$workdir/bin/dingmap"
cp samples/staff.csv "$workdir/work/samples"
cat > "$workdir/session" <<'SESSION'
type() {
    printf '$ '
    for ((at = 0; at < ${#1}; at++)); do
        printf %s "${1:at:1}"
        sleep 0.04
    done
    sleep 0.5
    printf '\n'
}
type 'dingmap resolve samples/staff.csv -o staff.resolved.csv --sandbox'
dingmap resolve samples/staff.csv -o staff.resolved.csv --sandbox
printf '$ '
sleep 0.1
SESSION
cd "$workdir/work"
# Nobody types: what is read in place of a keyboard is silent, and not at its end.
mkfifo "$workdir/keyboard"
exec 3<> "$workdir/keyboard"
# At most five frames a second, which is what keeps the file small; the last one stays for a while.
env -i PATH="$workdir/bin:$PATH" HOME="$workdir" TERM=xterm-256color LC_ALL=C.UTF-8 \
    "$workdir/tools/bin/termtosvg" "$workdir/recording.svg" -c "bash $workdir/session" \
    -g 100x20 -m 200 -D 10000 -t "$root/samples/recording/template.svg" <&3
# Whose fonts come first is no matter of the recording: those that every system has, and no other.
fonts="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
sed -i "s/font-family: [^;]*;/font-family: $fonts;/" "$workdir/recording.svg"
# Who wants no motion sees the end.
end=$(grep -o 'translateY(-[^)]*)' "$workdir/recording.svg" | tail -n 1)
sed -i "s/translateY(END)/$end/" "$workdir/recording.svg"
cp "$workdir/recording.svg" "$root/samples/recording.svg"
