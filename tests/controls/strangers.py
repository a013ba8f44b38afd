"""Controls of rows S1 to S29 about words, folders and files that come from a stranger."""

from .control import Control

_CODE = "config/foreign_code.py"
_SWEEP = "cli/test_foreign_sweep.py"
_REFUSED = "config/test_foreign_code.py::test_what_would_run_code_or_programs_is_refused"
_NO_LINK = ("core/atomic.py", "    if path.is_symlink():\n", "    if False:\n")

CONTROLS: list[Control] = [
    Control(
        "S1",
        _CODE,
        "if faults := [*faults, *foreign_code(config.hydra)]:",
        "if False:",
        f"{_SWEEP}::test_words_of_a_foreign_sweep_are_checked_as_typed_ones",
    ),
    Control(
        "S4",
        "core/atomic.py",
        "flags | os.O_NOFOLLOW | os.O_NONBLOCK",
        "flags | os.O_NONBLOCK",
        "core/test_links.py::test_no_linked_file_is_written",
    ),
    Control("S4", *_NO_LINK, "core/test_links.py::test_no_linked_folder_is_written"),
    Control(
        "S5",
        "core/plugins.py",
        "    if unnamed:\n",
        "    if False:\n",
        f"{_SWEEP}::test_plugins_of_a_foreign_sweep_are_imported_only_if_the_command_names_them",
    ),
    Control(
        "S6",
        "core/sweep.py",
        'if not _JOB_NAME.fullmatch(job["folder"]):',
        "if False:",
        f"{_SWEEP}::test_a_job_whose_folder_is_not_in_the_sweep_is_refused",
    ),
    Control(
        "S7",
        "dataset/image/eight_bits.py",
        "if not np.isfinite(values).all():",
        "if False:",
        "dataset/image/test_pixel_depths.py::test_what_has_no_scale_is_refused",
    ),
    Control(
        "S11",
        "core/control_characters.py",
        "return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)",
        "return text",
        "core/test_screen.py::test_no_way_to_print_or_log_lets_a_control_character_through",
    ),
    Control(
        "S16",
        "core/ranges.py",
        "Threads = Annotated[int, Field(gt=0, le=1024)]",
        "Threads = Annotated[int, Field(gt=0)]",
        "cli/test_bad_input.py::test_a_bad_value_is_named_with_what_is_allowed"
        "[evaluate.latency.threads=100000]",
    ),
    Control(
        "S23",
        "core/reading.py",
        "if stat.S_ISREG(os.fstat(descriptor).st_mode):",
        "if True:",
        "core/test_reading.py::test_a_file_that_the_user_names_is_a_regular_file",
    ),
    Control(
        "S25",
        _CODE,
        'if not node.get("callbacks"):',
        "if True:",
        f"{_REFUSED}",
    ),
]
