"""What `kdrun --help` says."""

HELP = """\
kdrun: train a teacher, distill a student, measure both, keep the proof.

  kdrun                                     the embedded digits: teacher, student alone, distilled
  kdrun teacher=resnet50 student=resnet18 dataset=cifar10       choose networks and data
  kdrun loss=kd loss.temperature=2 loss.alpha=0.5               choose the loss and its settings
  kdrun dataset=imagefolder dataset.root=photos                 a folder of class folders
  kdrun teacher.run=outputs/DATE/RUN        take the teacher of another run (or .weights=DEFAULT,
                                            or .checkpoint=FILE)
  kdrun student.init=teacher 'student.freeze=[layer1]'          where the student starts
  kdrun recipe=crd recipe.epochs=60         how long and how: quick, crd, imagenet, finetune
  kdrun compress=prune_quantize             then prune and quantize it, each step with its row
  kdrun 'compress=[prune_channels,distill,quantize_static]'     any steps in any order
  kdrun 'export=[onnx,pt2]'                 the student as files that run without kdrun, checked
  kdrun -m loss.temperature=2,4,8 seed=0,1,2                    a sweep; the teacher is shared
  kdrun -m ... launcher.jobs=4 teacher_outputs=stored           four at a time; it is asked once
  kdrun ... check=true                      the plan, without the work
  kdrun ... device=cuda precision=bf16      where it runs; auto takes what is there

Verbs:
  kdrun list [models|datasets|losses|schemes|recipes|compress|steps|runs]       what there is
  kdrun layers model=resnet20 dataset=cifar10                   paths, shapes and roles of a network
  kdrun list runs FOLDER                    the runs below a folder: status and figures
  kdrun show RUN                            one run in full; of a sweep, a line a run
  kdrun compare PATH...                     which setting is better, and is it so beyond chance
  kdrun compare PATH --by loss.temperature --where loss.alpha=0.5 --json out.json
  kdrun report PATH... -o report.html       runs as one HTML page; --figures FOLDER --format svg|png
  kdrun search recipe.epochs=5              temperature, alpha and rate that validation finds best
  kdrun show loss=dkd                       formula, needs, defaults, published figures; or scheme=
  kdrun resume RUN                          go on with a run that was cut; of a sweep, with its rest
  kdrun sensitivity RUN                     what each layer loses when it alone is compressed
  kdrun export RUN --to onnx,pt2            files of a finished run; --row alone, --normalize

Ctrl-C leaves a run that can be resumed. Every run writes outputs/DATE/TIME-NAME/ with its config,
measurements, table, predictions and weights. All keys with their units: kdrun --cfg job, and the
comments in conf/. Hydra's own options: kdrun --hydra-help.

Exit status: 0 done, 1 failed, 2 a mistake in the command or its surroundings, 4 disk full,
6 a loss that is not a number, 7 out of memory, 9 damaged files, 130 interrupted.
"""
