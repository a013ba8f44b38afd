"""Controls of sweeps, of the store, and of runs that take long."""

from .control import Control

CONTROLS: list[Control] = [
    Control(
        "sweep",
        "sweep/runner.py",
        "if not try_launch(launch, [job], screen) and _last_starts(sweep, [job]) == before:",
        "if not try_launch(launch, [job], screen):",
        "sweep/test_sweep_runner.py::test_a_job_that_dies_where_it_died_before_has_been_started",
    ),
    Control(
        "sweep",
        "sweep/runner.py",
        "now[job.number] != before.get(job.number):",
        "False:",
        "sweep/test_sweep_runner.py"
        "::test_a_crashed_job_that_dies_with_a_sweep_that_is_stopped_is_interrupted",
    ),
    Control(
        "store",
        "stage/obtain.py",
        """    with lock.acquire(
        wait=True, on_wait=context.screen.say, meanwhile=lambda: interrupt.check(name)
    ):""",
        "    if True:",
        "run/test_shared_store.py::test_processes_that_start_at_once_make_each_artefact_once[0]",
    ),
    Control(
        "store",
        "stage/obtain.py",
        "            if is_complete(stage_folder, identity):",
        "            if True:",
        "cli/test_store_command.py::test_a_run_makes_what_is_deleted_while_it_takes_it",
    ),
    Control(
        "store",
        "core/store_contents.py",
        "            if any(file.st_nlink > 1 for file in _files(folder)):",
        "            if False:",
        "core/test_store_contents.py::test_what_a_process_makes_or_a_run_has_taken_meanwhile_stays",
    ),
    Control(
        "store",
        "core/store_contents.py",
        "                if path.is_dir() and not path.is_symlink():",
        "                if path.is_dir():",
        "core/test_store_contents.py::test_pruning_leaves_the_lock_and_follows_no_link",
    ),
    Control(
        "memory",
        "core/metrics_log.py",
        "        self._drop_torn_line()\n        half",
        "        self._drop_torn_line()\n        os.open(os.devnull, os.O_RDONLY)\n        half",
        "run/test_long_runs.py::test_objects_and_open_files_do_not_grow_with_the_epochs",
    ),
    Control(
        "S1",
        "config/foreign_code.py",
        '    if kind not in _SIMPLE_LAUNCHERS and "hydra/launcher" not in keys:',
        "    if False:",
        "config/test_foreign_code.py::test_a_config_folder_chooses_no_launcher_that_runs_commands",
    ),
    Control(
        "S1",
        "config/foreign_code.py",
        '"\\n" not in str(value)',
        "True",
        "config/test_foreign_code.py::test_a_line_break_in_a_value_of_a_launcher_is_refused",
    ),
    Control(
        "S1",
        "sweep/runner.py",
        '        if "hydra.searchpath" in word and "pkg:" in word and word not in typed:',
        "        if False:",
        "sweep/test_sweep_runner.py::test_a_package_of_configs_is_not_imported_for_a_sweep",
    ),
]
