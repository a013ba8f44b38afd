"""Data-free schemes: the student never sees the images of the dataset."""

from dataclasses import replace
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from kdrun.core.config import Config
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.invert import Inversion, Invert


class DAFL(Scheme):
    """DAFL: generated images that the teacher is sure of.

    Formula:
        the generator minimizes CE(z_t, argmax z_t) - activation * mean |f_t|
          + entropy * sum_c m_c log m_c
        z_t, f_t: the teacher's logits and embedding of the generated images
        m: the mean of softmax(z_t) over these images
        activation, entropy: weights, settings of the scheme
        student: the loss of the config on the same images, labeled by the teacher

    Paper:
        Chen et al., Data-Free Learning of Student Networks, ICCV 2019, arXiv:1904.01186, equations
        2 to 5

    Needs:
        - a trained teacher, with or without batch norms; none of its training images
        - the images' channels, size and normalization, which the dataset's settings give
        - a loss with a teacher

    Notes:
        - Only the distilled student is data-free. The control still sees the real training images,
          so the table compares a student without data with a student that has data; a teacher that
          the run trains sees the real images too.
        - Validation and test are on real images; a user without data could not choose the epoch or
          the settings by them.
        - An epoch has as many steps as an epoch on the dataset; each step draws new images.
        - The generator ends in a norm without weights, so that images have mean 0 and variance 1 in
          each channel, as normalized images have.

    Args:
        latent: size of the noise vector from which the generator makes an image.
        rate: learning rate of the generator's optimizer, Adam.
        activation: weight of the mean |f_t| in the formula.
        entropy: weight of the negative entropy of m in the formula.
    """

    def __init__(
        self,
        latent: PositiveInt,
        rate: PositiveFloat,
        activation: NonNegativeFloat,
        entropy: NonNegativeFloat,
    ) -> None:
        self.settings = {
            "latent": latent,
            "rate": rate,
            "activation": activation,
            "entropy": entropy,
        }

    def loss(self, config: Config) -> dict[str, Any]:
        return {"name": "dafl", **self.settings, "loss": config.loss}


class ZSKT(Scheme):
    """Zero-shot: images on which teacher and student disagree.

    Formula:
        the generator maximizes KL(p_t || p_s) on its images; it has one step for every
          `student_steps` steps of the student
        student: the loss of the config on generated images, labeled by the teacher
        p_t, p_s: softmax of the logits of teacher and student at T = 1

    Paper:
        Micaelli and Storkey, Zero-shot Knowledge Transfer via Adversarial Belief Matching, NeurIPS
        2019, arXiv:1905.09768, algorithm 1

    Needs:
        - a trained teacher, with or without batch norms; none of its training images
        - the images' channels, size and normalization, which the dataset's settings give
        - a loss with a teacher

    Notes:
        - Only the distilled student is data-free. The control still sees the real training images,
          so the table compares a student without data with a student that has data; a teacher that
          the run trains sees the real images too.
        - Validation and test are on real images; a user without data could not choose the epoch or
          the settings by them.
        - The paper's student learns KL at T = 1 and attention transfer, without labels; the comment
          in conf/scheme/zskt.yaml says which settings give that.
        - An epoch has as many steps as an epoch on the dataset; each step draws new images.

    Args:
        latent: size of the noise vector from which the generator makes an image.
        rate: learning rate of the generator's optimizer, Adam.
        student_steps: steps of the student for each step of the generator.
    """

    def __init__(
        self, latent: PositiveInt, rate: PositiveFloat, student_steps: PositiveInt
    ) -> None:
        self.settings = {"latent": latent, "rate": rate, "student_steps": student_steps}

    def loss(self, config: Config) -> dict[str, Any]:
        return {"name": "zskt", **self.settings, "loss": config.loss}


class DeepInversion(Scheme):
    """DeepInversion: images made from the teacher's batch norms.

    Formula:
        images x minimize CE(z_t, y) + norms * R_BN + smoothness * R_TV + size * |x|
        norms, smoothness, size: weights, settings of the scheme
        R_BN = sum over batch norms of |mean - running mean| + |variance - running variance|
        R_TV: lengths of the differences of neighbouring pixels in four directions, summed
        y: labels, the same number of each class
        student: the loss of the config on these images

    Paper:
        Yin et al., Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion, CVPR 2020,
        arXiv:1912.08795

    Needs:
        - a trained teacher with batch norms that keep running statistics
        - the images' channels, size and normalization, which the dataset's settings give

    Notes:
        - Only the distilled student is data-free. The control still sees the real training images,
          so the table compares a student without data with a student that has data; a teacher that
          the run trains sees the real images too.
        - Validation and test are on real images; a user without data could not choose the epoch or
          the settings by them.
        - The paper's adaptive form, in which images compete with the student, is not implemented.
          So the images depend on the teacher alone: they are made once and shared by runs.
        - Making the images takes images / batch_size * iterations steps through the teacher, before
          the student starts; the table's time of training leaves these steps out.

    Args:
        images: how many images are made.
        batch_size: images that are optimized together.
        iterations: optimization steps for each batch.
        rate: learning rate of these steps.
        norms: weight of R_BN.
        smoothness: weight of R_TV.
        size: weight of |x|.
    """

    def __init__(
        self,
        images: PositiveInt,
        batch_size: PositiveInt,
        iterations: PositiveInt,
        rate: PositiveFloat,
        norms: NonNegativeFloat,
        smoothness: NonNegativeFloat,
        size: NonNegativeFloat,
    ) -> None:
        self._inversion = Inversion(images, batch_size, iterations, rate, norms, smoothness, size)

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        info = StageInfo("images", "images", "", shared=True, reads=(teacher.info.name,))
        images = Invert(info, teacher, self._inversion)
        student = student_stage(config, [teacher], config.loss)
        reads = (*student.info.reads, info.name)
        info = replace(student.info, reads=reads)
        student = replace(student, images=images, info=info)
        return [teacher, images, *control_stages(config), student]
