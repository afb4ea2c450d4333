"""The comparison of dingmap with its peers, run by `benches/compare.sh`.

Each file owns one thing. From the ground up: `setting` where things are and how much is measured, `process` one
measured child, `inputs` the files that are read, `servers` who answers, `dingmap` and `peers` the command lines,
`figures` medians and goals, `results` the page that they are written to, `plots` the curves. On these stand the parts,
each with a function `measure` that gives its sections: `calls`, `known`, `memory`, `quota`, `plan`, `size` and
`growth`.
"""
