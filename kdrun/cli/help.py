"""What `kdrun --help` prints."""

from kdrun.config.verbs import summaries
from kdrun.core.exit_status import status_lines

HELP = f"""\
kdrun: train a teacher, distill a student, measure both, keep the proof.

  kdrun                                     embedded digits, few of them labeled: teacher, student
                                            alone, distilled, quantized
  kdrun teacher=resnet50 student=resnet18 dataset=cifar10       choose networks and data
  kdrun loss=kd loss.temperature=2 loss.alpha=0.5               choose the loss and its settings
  kdrun dataset=imagefolder dataset.root=photos                 a folder of class folders
  kdrun teacher.run=outputs/DATE/RUN        take the teacher of another run (or .weights=DEFAULT,
                                            or .checkpoint=FILE)
  kdrun student=resnet8 student.init=teacher 'student.freeze=[layer1]'     where it starts
  kdrun recipe=crd recipe.epochs=60         how long and how: quick, crd, imagenet, ...
  kdrun compress=prune_quantize             then prune and quantize it, each step with its row
  kdrun 'compress=[prune_channels,distill,quantize_static]'     any steps in any order
  kdrun 'export=[onnx,pt2]'                 the student as files that run without kdrun, checked
  kdrun -m loss.temperature=2,4,8 seed=0,1,2                    a sweep; the teacher is shared
  kdrun -m ... launcher.jobs=4 teacher_outputs=stored           four at a time, one teacher pass
  kdrun ... check=true                      the plan, without the work
  kdrun ... device=cuda precision=bf16      where it runs; auto takes what is there

Verbs, each with its options and examples in kdrun VERB --help:
{summaries()}

Ctrl-C leaves a run that can be resumed. Every run writes outputs/DATE/TIME-NAME/ with its config,
measurements, table, predictions and weights. All keys with their units: kdrun --cfg job, and the
comments in conf/. Hydra's own options: kdrun --hydra-help.

Exit status:
{status_lines()}
"""
