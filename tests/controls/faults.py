"""Controls of the fault matrix, F1 to F37."""

from .control import Control

ATOMIC = "core/atomic.py"
_SAVED = "engine/test_checkpoint.py::test_a_kill_while_saving_leaves_a_whole_checkpoint"
_FULL = "engine/test_checkpoint.py::test_a_full_disk_keeps_the_older_files"
_LOOP = "engine/test_loop.py"
# A writer in place: no temporary file and no rename.
_OPENED = 'with open_in_place(temporary, "wb") as file:\n                _fill(file, parts)'
_IN_PLACE = 'with open_in_place(path, "wb") as file:\n                _fill(file, parts)'
_NO_RENAME = (ATOMIC, "temporary.replace(path)", "pass")


def _in_place(row: str, point: str) -> Control:
    """The old checkpoint must survive a kill at this point, which it does not in place."""
    return Control(row, ATOMIC, _OPENED, _IN_PLACE, f"{_SAVED}[{point}]", edits=[_NO_RENAME])


CONTROLS: list[Control] = [
    Control(
        "F1",
        "engine/loop.py",
        "            self.update.restore(state)\n",
        "",
        f"{_LOOP}::test_resume_gives_the_same_weights",
    ),
    Control(
        "F2",
        ATOMIC,
        '_remove_leftovers(path)\n        fault_point("before-temp")',
        'open(path, "wb").close()\n        fault_point("before-temp")',
        f"{_SAVED}[before-temp]",
    ),
    _in_place("F3", "half-temp"),
    _in_place("F4", "before-fsync"),
    _in_place("F5", "before-rename"),
    Control("F6", *_NO_RENAME, f"{_SAVED}[after-rename]"),
    Control(
        "F7",
        "engine/loop.py",
        'self.log.truncate(state["metrics_offset"])',
        "pass",
        f"{_LOOP}::test_measurements_that_no_checkpoint_knows_are_cut_back",
    ),
    Control(
        "F8",
        "core/metrics_log.py",
        "self._drop_torn_line()\n        half = len(line) // 2",
        "half = len(line) // 2",
        "core/test_metrics_log.py::test_a_kill_in_a_line_loses_that_line_only_and_is_reported_once",
    ),
    Control("F9", ATOMIC, "raise _disk_full(path, size, error) from error", "raise", _FULL),
    Control(
        "F10",
        "core/metrics_log.py",
        "with explain_write_errors(self.path, len(line)), open_in_place(",
        "with open_in_place(",
        "core/test_metrics_log.py::test_a_full_disk_is_a_sentence",
    ),
    Control(
        "F11",
        "engine/checkpoint.py",
        "write_bytes(folder / CURRENT, *parts, previous=folder / PREVIOUS)",
        '__import__("torch").save(state, folder / CURRENT)',
        _FULL,
    ),
    Control(
        "F12",
        "core/disk.py",
        "if os.access(existing, os.W_OK | os.X_OK):",
        "if True:",
        "cli/test_bad_surroundings.py::test_an_output_folder_that_is_read_only",
    ),
    Control(
        "F13",
        "engine/loop.py",
        "self._save()\n                self.runtime.interrupt.check(self.spec.stage)",
        "self.runtime.interrupt.check(self.spec.stage)",
        "engine/test_interrupted_training.py::test_a_signal_saves_the_step_that_it_came_in[term]",
    ),
    Control(
        "F14",
        "core/errors.py",
        "self.status = 128 + signal_number",
        "self.status = 1",
        "engine/test_interrupted_training.py::test_a_signal_saves_the_step_that_it_came_in[int]",
    ),
    Control(
        "F15",
        "engine/interrupt.py",
        "raise KeyboardInterrupt(number)",
        "return",
        "engine/test_interrupt.py::test_a_second_signal_stops_at_once_with_its_own_status",
    ),
    Control(
        "F16",
        "engine/interrupt.py",
        "        self.signal = self.signal or number",
        "        raise Interrupted(number)",
        "engine/test_interrupted_training.py::test_a_signal_while_saving_lets_the_save_end",
    ),
    Control(
        "F17",
        "engine/loop.py",
        "if state is None:\n            self.log.truncate(0)",
        "if True:\n            state = None\n            self.log.truncate(0)",
        "engine/test_interrupted_training.py::test_a_run_goes_on_in_the_stage_it_was_stopped_in",
    ),
    Control(
        "F18",
        "stage/artefact.py",
        "def find_artefact(",
        "def find_artefact(*_: object) -> None:\n    return None\n\n\ndef _unused(",
        "engine/test_interrupted_training.py::test_a_run_goes_on_in_the_stage_it_was_stopped_in",
    ),
    Control(
        "F19",
        "core/lock.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "core/test_lock.py::test_the_second_process_is_told_who_holds_the_folder",
    ),
    Control(
        "F20",
        "core/lock.py",
        "os.O_RDWR | os.O_CREAT)",
        "os.O_RDWR | os.O_CREAT | os.O_EXCL)",
        "core/test_lock.py::test_a_killed_owner_frees_the_folder_at_once",
    ),
    Control(
        "F23",
        "run/runner.py",
        "except SystemExit as error:",
        "except ZeroDivisionError as error:",
        "cli/test_sweep.py::test_a_part_that_ends_the_program_ends_its_job_alone",
    ),
    Control(
        "F24",
        "core/errors.py",
        "self.status = 128 + signal_number",
        "self.status = 1",
        "cli/test_sweep.py::test_an_interrupted_sweep_says_what_is_left_and_is_gone_on_with",
    ),
    Control(
        "F25",
        "sweep/runner.py",
        "jobs = [job for job in sweep.jobs() if sweep.status(job) not in DONE]",
        "jobs = [job for job in sweep.jobs()]",
        "cli/test_sweep.py::test_an_interrupted_sweep_says_what_is_left_and_is_gone_on_with",
        edits=[("sweep/worker.py", "if folder.is_run and folder.status in DONE:", "if False:")],
    ),
    Control(
        "F27",
        "engine/update.py",
        "        if fault:\n            raise NonFinite(",
        "        if False:\n            raise NonFinite(",
        f"{_LOOP}::test_a_term_that_is_no_number_stops_before_the_update[nan]",
    ),
    Control(
        "F28",
        "engine/update.py",
        "if not isfinite(value.item()):",
        "if name == 'loss' and not isfinite(value.item()):",
        f"{_LOOP}::test_a_term_that_is_no_number_stops_before_the_update[inf]",
    ),
    Control(
        "F29",
        "core/device.py",
        "if not _is_memory_error(error):",
        "if True:",
        "core/test_device.py::test_out_of_memory_says_what_to_do",
    ),
    Control(
        "F31",
        "engine/checkpoint.py",
        'if file_digest(file, "sha256").digest() != expected:',
        "if False:",
        "engine/test_checkpoint.py::test_every_flipped_bit_is_noticed_and_the_one_before_is_used",
    ),
    Control(
        "F32",
        "engine/checkpoint.py",
        'raise DamagedFile("its bytes are not what was written")',
        "raise EOFError",
        "engine/test_checkpoint.py::test_every_truncation_is_noticed_and_the_one_before_is_used",
    ),
    Control(
        "F33",
        "engine/checkpoint.py",
        "if any(not isinstance(error, _OtherTraining) for error in unusable.values()):",
        "if False:",
        "engine/test_checkpoint.py::test_two_damaged_files_stop_the_run",
    ),
    Control(
        "F34",
        "run/runner.py",
        "seconds = earlier_seconds + time.monotonic() - started",
        "seconds = earlier_seconds + time.time() - started",
        "engine/test_interrupted_training.py::test_a_clock_that_goes_back_makes_no_negative_time",
        edits=[
            (
                "run/runner.py",
                "started = time.monotonic()\n    manifest, environment",
                "started = time.time()\n    manifest, environment",
            )
        ],
    ),
    Control(
        "F35",
        "stage/artefact.py",
        "def checksum(path: Path)",
        "def checksum(path: Path) -> str:\n    return ''\n\n\ndef _unused(path: Path)",
        "stage/test_teacher_outputs.py::test_damaged_answers_are_asked_for_again_and_that_is_told",
    ),
    Control(
        "F36",
        "run/environment.py",
        "if differences(before, shared) and (",
        "if False and (",
        "cli/test_run.py::test_a_config_that_was_changed_is_not_gone_on_with",
    ),
    Control(
        "F37",
        "run/runner.py",
        'inexact += changes_since(manifest.get("environment", environment), environment)',
        "pass",
        "cli/test_resume.py::test_resumed_with_another_torch_is_marked",
    ),
    Control(
        "F21",
        "sweep/worker.py",
        "        if status >= 128:",
        "        if True:",
        "cli/test_sweep.py::test_failed_jobs_do_not_stop_the_others_and_are_all_told_of",
    ),
    Control(
        "F22",
        "sweep/runner.py",
        """    for line in run_lines(sweep.path):
        screen.say(f"  {line}")""",
        """    for line in run_lines(sweep.path)[:1]:
        screen.say(f"  {line}")""",
        "cli/test_sweep.py::test_failed_jobs_do_not_stop_the_others_and_are_all_told_of",
    ),
    Control(
        "F30",
        "dataset/image/feeds.py",
        'if "DataLoader worker" not in str(error):',
        "if True:",
        "dataset/test_batches.py::test_a_dead_worker_raises_an_error_with_a_message",
    ),
    Control(
        "F26",
        "sweep/hydra_launcher.py",
        "job_return.cfg = job_return.hydra_cfg = None",
        "pass",
        "sweep/test_hydra_launcher.py::test_no_config_of_a_job_stays_in_memory",
    ),
]
