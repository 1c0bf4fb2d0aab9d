"""Data sets in the layouts in which they are published, made of a coarse MNI152 template."""

import functools

import nibabel as nib
import numpy as np
from PIL import Image


@functools.cache
def brain() -> np.ndarray:
    """Return the template, (66, 78, 63) float32 in 0..1, RAS, 3 mm, background 0."""
    from nilearn.datasets import load_mni152_template

    volume = load_mni152_template(resolution=1).get_fdata(dtype=np.float32)[::3, ::3, ::3]
    return np.where(volume > 0.05, volume, 0)


def patient(number: int) -> np.ndarray:
    """Return a brain of its own for each number: the template, shaded by it."""
    grid = np.indices(brain().shape) / 20
    rng = np.random.default_rng(number)
    shade = sum(
        rng.normal() * np.sin(rng.normal(size=3) @ grid.reshape(3, -1) + rng.uniform(0, 6))
        for _ in range(6)
    )
    return (brain() * (1 + 0.25 * shade.reshape(brain().shape))).clip(0).astype(np.float32)


def nifti(path, array, zooms=(3, 3, 3), affine=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*zooms, 1.0]) if affine is None else affine
    nib.save(nib.Nifti1Image(array, affine), path)


def acdc(
    root, patients: int = 3, between: str = "", single: bool = True, info: bool = True
) -> None:
    """Write acdc/[between/]training/patient001/ ... as ACDC has it.

    Frames 1 (ED) and 3 (ES) of a cycle of four; short-axis slices, 10 mm thick.
    """
    for n in range(1, patients + 1):
        name = f"patient{n:03d}"
        folder = root / "acdc" / between / "training" / name
        thick = np.int16(patient(n)[:, :, 5:55:10] * 1000)
        cycle = np.stack([thick, thick // 2, thick[::-1], thick // 3], axis=-1)
        nifti(folder / f"{name}_4d.nii.gz", cycle, (1.5, 1.5, 10))
        if info:
            (folder / "Info.cfg").write_text("ED: 1\nES: 3\nGroup: DCM\nHeight: 184.0\n")
        for frame in (1, 3) if single else ():
            nifti(folder / f"{name}_frame{frame:02d}.nii.gz", cycle[..., frame - 1], (1.5, 1.5, 10))
            nifti(
                folder / f"{name}_frame{frame:02d}_gt.nii.gz", np.uint8(thick > 300), (1.5, 1.5, 10)
            )


def brats(root, high: int = 2, low: int = 1, between: str = "") -> None:
    """Write brats2018/[between/]HGG|LGG/Brats18_X/: four modalities and a segmentation.

    Skulls are stripped, and 0 is around the brain.
    """
    for n in range(high + low):
        name = f"Brats18_{n:03d}"
        folder = root / "brats2018" / between / ("HGG" if n < high else "LGG") / name
        for k, modality in enumerate(("t1", "t1ce", "t2", "flair")):
            nifti(folder / f"{name}_{modality}.nii.gz", np.int16(patient(10 * n + k) * 900))
        nifti(folder / f"{name}_seg.nii.gz", np.uint8(brain() > 0.8))


def flair(number: int, darker: int = 1) -> np.ndarray:
    """Return twelve slices of a patient, (12, 78, 66) uint8, with noise around the head."""
    planes = np.rot90(patient(number)[:, :, 14:50:3], axes=(0, 1)).transpose(2, 0, 1)
    noise = np.random.default_rng(number).uniform(0, 0.03, planes.shape)
    return np.uint8((planes * 0.8 + noise).clip(0, 1) * 255 / darker)


def lgg(
    root,
    patients: int = 3,
    between: str = "kaggle_3m",
    channels: int = 3,
    masks: bool = True,
    darker: int = 5,
) -> None:
    """Write lgg/[between/]TCGA_XX_000n_19960909/: twelve slices a patient, each with its mask.

    FLAIR is the channel in the middle. The last patient's scanner gives grey levels that are so
    many times `darker` than the others'.
    """
    place = root / "lgg" / between
    for n in range(1, patients + 1):
        name = f"TCGA_XX_{n:04d}_19960909"
        (place / name).mkdir(parents=True, exist_ok=True)
        for k, plane in enumerate(flair(n, darker if n == patients else 1), start=1):
            others = [255 - plane, plane // 3]  # before and after contrast
            pixels = plane if channels == 1 else np.stack([others[0], plane, others[1]], axis=-1)
            Image.fromarray(pixels).save(place / name / f"{name}_{k}.tif")
            if masks:
                Image.fromarray(np.uint8(plane > 200) * 255).save(
                    place / name / f"{name}_{k}_mask.tif"
                )
    (place / "data.csv").write_text("Patient,age_at_initial_pathologic\n")
