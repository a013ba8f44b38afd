"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "assistants": "kdrun.scheme.assistants:Assistants",
    "born_again": "kdrun.scheme.born_again:BornAgain",
    "concepts": "kdrun.scheme.concepts:Concepts",
    "dafl": "kdrun.scheme.data_free:DAFL",
    "deep_inversion": "kdrun.scheme.data_free:DeepInversion",
    "domain_shift": "kdrun.scheme.domain_shift:DomainShift",
    "moving_teacher": "kdrun.scheme.moving_teacher:MovingTeacher",
    "mutual": "kdrun.scheme.mutual:MutualLearning",
    "none": "kdrun.scheme.base:Scheme",
    "own_stages": "kdrun.scheme.own_stages:OwnStages",
    "progressive": "kdrun.scheme.progressive:Progressive",
    "shared_body": "kdrun.scheme.shared_body:SharedBody",
    "teachers": "kdrun.scheme.teachers:SeveralTeachers",
    "zskt": "kdrun.scheme.data_free:ZSKT",
}
