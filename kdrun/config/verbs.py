"""The table of verbs, such as `list` in `kdrun list`; the help of each verb comes from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kdrun.core.errors import UserError
from kdrun.core.unknown import nearest

_WIDTH = 100  # of the help, in letters


@dataclass(frozen=True)
class Verb:
    """A verb: the first word after `kdrun`.

    Attributes:
        target: "module:function". The function takes the words after the verb and the screen, and
            returns the exit status.
        arguments: required and [optional] arguments after the verb, without options.
        summary: what the verb does, in one line.
        options: option, as the user types it -> what it does.
        notes: allowed arguments, and files that the verb writes; one or two sentences a line.
        examples: example commands.
    """

    target: str
    arguments: str
    summary: str
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


VERBS = {
    "list": Verb(
        "kdrun.cli.list:list_choices",
        "[KIND...]",
        "the choices of each kind, and the runs there are",
        notes=(
            "KIND is models, datasets, tokenizers, losses, schemes, recipes, compress, steps or",
            "runs. Without a KIND all of them are listed. runs may be followed by folders.",
            "plugins=[MODULE] lists the parts of a plugin too.",
        ),
        examples=("kdrun list losses", "kdrun list runs outputs/sweeps"),
    ),
    "layers": Verb(
        "kdrun.cli.layers:show_layers",
        "model=NAME",
        "module paths, output shapes and roles of a network",
        notes=(
            "loss.pairs, student.taps and student.freeze take these paths.",
            "dataset=NAME sets the size of the images, model.KEY=VALUE a setting of the network.",
        ),
        examples=("kdrun layers model=resnet20 dataset=cifar10",),
    ),
    "show": Verb(
        "kdrun.cli.show:show",
        "RUN|SWEEP|KIND=NAME",
        "a run or sweep in full, or what a component does",
        notes=(
            "RUN: its tables with their notes, and how it came about. SWEEP: a line for each run.",
            "loss=NAME or scheme=NAME: formula, paper, needs, defaults, published figures.",
            "model, dataset, step, calibrator, protocol, format, optimizer or schedule=NAME: its",
            "title and settings. plugins=[MODULE] makes the parts of a plugin known.",
        ),
        examples=("kdrun show outputs/2026-11-20/21-03-11-resnet18-kd", "kdrun show loss=dkd"),
    ),
    "compare": Verb(
        "kdrun.cli.compare:compare_runs",
        "PATH...",
        "which setting is better, and whether by more than chance",
        {
            "--by KEY": "a table by the values of KEY, averaged over the other settings",
            "--metric NAME": "what is compared: f1, nll, ece, ...; else the leading one",
            "--where KEY=VALUE": "only the runs with this value; several values with commas",
            "--baseline KEY=VALUE": "compare with the setting that differs in KEY alone; or a row",
            "--row NAME": "the row that a run is judged by; its last one by default",
            "--sort KEY": "order the rows by a metric or a key",
            "--csv [FILE]": "as CSV, to the screen or to FILE",
            "--json [FILE]": "as JSON, to the screen or to FILE",
            "--markdown [FILE]": "as Markdown, to the screen or to FILE",
            "--latex [FILE]": "as LaTeX, to the screen or to FILE",
        },
        notes=(
            "PATH is a run folder, a sweep folder, a folder of runs, or a glob.",
            "plugins=[MODULE] allows the plugins of the runs' tasks.",
        ),
        examples=(
            "kdrun compare outputs/sweeps",
            "kdrun compare outputs/sweeps --by loss.temperature --where loss.alpha=0.5",
        ),
    ),
    "report": Verb(
        "kdrun.cli.report:report_runs",
        "PATH...",
        "runs as one HTML page that opens offline",
        {
            "-o FILE": "the page; report.html in the folder that PATH names by default",
            "--figures FOLDER": "also write each figure to a file of its own",
            "--format svg|png": "the format of these files; svg by default",
        },
        notes=(
            "PATH is a run folder, a sweep folder, a folder of runs, or a glob.",
            "plugins=[MODULE] allows the plugins of the runs' tasks.",
        ),
        examples=("kdrun report outputs/sweeps -o report.html --figures figures",),
    ),
    "search": Verb(
        "kdrun.cli.search:search",
        "[KEY=RANGE...]",
        "the settings that validation finds best, by trials",
        notes=(
            "RANGE: interval(0.1,1), int(interval(1,8)), tag(log,interval(1,16)) or choice(a,b).",
            "Without a range: temperature, alpha and learning rate, as conf/config.yaml says.",
            "KEY=VALUE sets what all trials have in common; check=true shows what is searched.",
        ),
        examples=(
            "kdrun search recipe.epochs=5",
            "kdrun search 'loss.temperature=tag(log,interval(1,16))' loss=kd,dkd search.trials=40",
        ),
    ),
    "resume": Verb(
        "kdrun.cli.resume:resume",
        "RUN|SWEEP",
        "continue an interrupted run, or the rest of a sweep",
        options={"--trust": "also if other users own the folder or can write in it"},
        notes=(
            "The weights are those that the run would have had without the interruption.",
            "plugins=[MODULE] allows plugins, which a run or sweep alone never imports. Settings",
            "of a sweep that may run code, as hydra/launcher=submitit_slurm, are typed once more.",
        ),
        examples=("kdrun resume outputs/2026-11-20/21-03-11-resnet18-kd",),
    ),
    "sensitivity": Verb(
        "kdrun.cli.sensitivity:show_sensitivity",
        "RUN",
        "what each layer loses when it alone is compressed",
        {"--row NAME": "the network of this row of the run's table; distilled by default"},
        notes=(
            "Writes sensitivity.json and sensitivity.svg to the run's folder.",
            "plugins=[MODULE] allows the plugins of the run.",
        ),
    ),
    "export": Verb(
        "kdrun.cli.export:export_run",
        "RUN --to onnx[,pt2,hf]",
        "a finished run's network as files that run without kdrun",
        {
            "--normalize": "make the normalization of the inputs a part of the files",
            "--row NAME": "the network of this row of the run's table; distilled by default",
        },
        notes=(
            "Writes to RUN/export, and checks that each file has the outputs of the network.",
            "plugins=[MODULE] allows the plugins of the run.",
        ),
    ),
    "store": Verb(
        "kdrun.cli.store:store",
        "[list|check|prune] [ROOT]",
        "what runs share: list, check, delete what no run uses",
        {
            "--older AGE": "prune: only what is at least so old: 12h, 30d (the default), 8w",
            "--keep SIZE": "prune: the oldest first, until the store takes no more: 500MB, 20GB",
            "--dry-run": "prune: show what would be deleted, and delete nothing",
        },
        notes=(
            "ROOT is the output root of the runs, outputs by default; the store is ROOT/.store.",
            "prune deletes what no run below ROOT refers to and no folder has a link to. Runs keep",
            "the files of their stages themselves: what is deleted is trained again where it is",
            "needed, and what is unfinished starts again.",
        ),
        examples=("kdrun store", "kdrun store prune --older 7d --keep 20GB --dry-run"),
    ),
}


def usage(name: str) -> list[str]:
    """Return lines with the arguments and options of a verb."""
    verb = VERBS[name]
    words = [f"kdrun {name} {verb.arguments}", *(f"[{option}]" for option in verb.options)]
    lines = [""]
    for word in words:
        if len(f"{lines[-1]} {word}") > _WIDTH:
            lines.append("  ")
        lines[-1] += f" {word}"
    return [f" {line}" for line in lines]


def help_of(name: str) -> str:
    """Return the help that `kdrun VERB --help` prints."""
    verb = VERBS[name]
    options = [f"  {option:<22}{text}" for option, text in verb.options.items()]
    notes = [f"  {note}" for note in verb.notes]
    examples = [f"  {example}" for example in verb.examples]
    blocks = ([f"kdrun {name}: {verb.summary}."], usage(name), options, notes, examples)
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def summaries() -> str:
    """Return a line for each verb, for the general help."""
    commands = {f"kdrun {name} {verb.arguments}": verb.summary for name, verb in VERBS.items()}
    return "\n".join(f"  {command:<42}{summary}" for command, summary in commands.items())


def no_such_verb(word: str) -> UserError:
    """Return the error for a word that is neither a verb nor a setting."""
    similar = ", ".join(nearest(word, VERBS))
    return UserError(
        f"{word!r} is no verb and no setting.",
        f"  nearest: kdrun {similar}" if similar else f"  verbs, first of all: {', '.join(VERBS)}",
        "  settings are key=value, e.g. loss.temperature=4; kdrun --help",
    )
