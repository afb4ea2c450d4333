"""Compares dingmap with other programs; started by `benches/compare.sh`.

Files, lowest layer first: `settings` (paths, sizes, cores), `process` (one measured child process),
`inputs` (generated tables), `tls` (test certificates), `servers` (nginx and the sandbox), `dingmap`
and `peers` (command lines), `figures` (medians, goals, tables), `results` (the page), `plots` (the
charts). The parts use them: `calls`, `known`, `memory`, `quota`, `plan`, `size` and `growth`, each
with a function `measure` that returns the sections of the page.
"""
