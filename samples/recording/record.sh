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
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT
python3 -m venv "$desk/tools"
"$desk/tools/bin/pip" install --quiet termtosvg==1.1.0 'setuptools<81'

# The output goes to a desk of its own, where the same command gives the same words.
mkdir -p "$desk/bin" "$desk/work/samples"
cp "$DINGMAP" "$desk/bin/dingmap"
cp samples/staff.csv "$desk/work/samples"
cat > "$desk/session" <<'SESSION'
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
cd "$desk/work"
# Nobody types: what is read in place of a keyboard is silent, and not at its end.
mkfifo "$desk/keyboard"
exec 3<> "$desk/keyboard"
# At most five frames a second, which is what keeps the file small; the last one stays for a while.
env -i PATH="$desk/bin:$PATH" HOME="$desk" TERM=xterm-256color LC_ALL=C.UTF-8 \
    "$desk/tools/bin/termtosvg" "$desk/recording.svg" -c "bash $desk/session" \
    -g 100x20 -m 200 -D 10000 -t "$root/samples/recording/template.svg" <&3
# Whose fonts come first is no matter of the recording: those that every system has, and no other.
fonts="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
sed -i "s/font-family: [^;]*;/font-family: $fonts;/" "$desk/recording.svg"
# Who wants no motion sees the end.
end=$(grep -o 'translateY(-[^)]*)' "$desk/recording.svg" | tail -n 1)
sed -i "s/translateY(END)/$end/" "$desk/recording.svg"
cp "$desk/recording.svg" "$root/samples/recording.svg"
