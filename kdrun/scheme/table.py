"""Every scheme: its name on the command line -> where its class is."""

SCHEMES = {
    "dafl": "kdrun.scheme.data_free:DAFL",
    "deep_inversion": "kdrun.scheme.data_free:DeepInversion",
    "moving_teacher": "kdrun.scheme.moving_teacher:MovingTeacher",
    "none": "kdrun.scheme.base:Scheme",
    "own_stages": "kdrun.scheme.own_stages:OwnStages",
    "progressive": "kdrun.scheme.progressive:Progressive",
    "shared_body": "kdrun.scheme.shared_body:SharedBody",
    "zskt": "kdrun.scheme.data_free:ZSKT",
}
