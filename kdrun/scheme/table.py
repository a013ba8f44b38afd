"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "assistants": "kdrun.scheme.assistants:Assistants",
    "born_again": "kdrun.scheme.born_again:BornAgain",
    "mutual": "kdrun.scheme.mutual:MutualLearning",
    "none": "kdrun.scheme.base:Scheme",
    "teachers": "kdrun.scheme.teachers:SeveralTeachers",
}
