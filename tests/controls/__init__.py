"""Negative controls: each protection is taken out, and the tests of it must then fail.

    python -m tests.controls            all rows
    python -m tests.controls F5 S1      these rows

A test that passes without the protection that it is about proves nothing. A control is a small
edit of kdrun that takes one protection out, and the tests that must fail then. The command copies
the checkout into a scratch folder, sees the tests pass there, applies one edit after another, and
prints a line for each. Its status is 1 if a test passed in spite of an edit.

To add a row, add one line to the table of its field (`faults.py`: F1 to F37, `bad_input.py`: B1 to
B36, `security.py`: the table of risks, `found.py`: S1 to S29, `sharing.py`: sweeps and the store,
`texts.py`: T1 and T2):

    Control("F5", "core/atomic.py", "temp.replace(path)", "path.write_bytes(b'')",
            "core/test_atomic.py::test_a_kill_leaves_the_old_file_or_the_new")

- The file is relative to `kdrun/`. The old text occurs in it exactly once; it may have several
  lines. `edits=[(file, old, new)]` adds further edits where one is not enough.
- The tests are relative to `tests/`. Each must fail, by an assertion or an error of kdrun, while it
  runs: a fixture that fails, or code that can't be imported, shows nothing. Of a test with
  parameters that are not named, one case must fail. Take tests that run in the process of pytest.
- A row may have several controls.

Then run `python -m tests.controls ROW`.
"""
