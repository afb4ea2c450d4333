# Debian's changelog from the guide's, whose versions are "## [0.2.0] - 2026-11-30".

# Prints the collected item in lines of at most 78 columns, which lintian asks for.
function print_item(    count, words, i, line) {
    count = split(item, words)
    line = "  *"
    for (i = 1; i <= count; i++) {
        if (length(line) + length(words[i]) + 1 > 78) {
            print line
            line = "   "
        }
        line = line " " words[i]
    }
    if (count) print line
    item = ""
}

function finish_version() {
    print_item()
    if (version) printf "\n -- The dingmap authors <dingmap@example.org>  %s\n\n", date
}

/^## \[/ {
    finish_version()
    version = substr($2, 2, length($2) - 2)
    ("LC_ALL=C date -u -R -d " $4) | getline date
    printf "dingmap (%s-1) unstable; urgency=medium\n\n", version
    next
}
/^#/ { print_item() }
version && /^- / { print_item(); item = substr($0, 3) }
version && /^  [^ ]/ { item = item $0 }
END { finish_version() }
