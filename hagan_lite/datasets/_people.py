"""Find out who is in each image: by the file's place, by what DICOM says, and by likeness."""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from hagan_lite.datasets._duplicates import connected, merge, thumbnail
from hagan_lite.datasets.sources import Source

FEW, LARGE = 10, 0.2
"""Fewer groups than FEW, one of them with more than LARGE of the images, are hardly patients."""
STUDIES = 3
"""So many PatientIDs in a folder or study may be one patient's; more are several patients'."""


class Owner(NamedTuple):
    """Hold what a DICOM file says of whose it is; nothing, for files of other kinds."""

    is_dicom: bool = False
    patient: str = ""  # PatientID
    study: str = ""  # the UID of its study, else of its series or of its frame of reference


class People:
    """Put images into groups, of which each should be one patient."""

    def __init__(self) -> None:
        self.thumbnails: list[np.ndarray] = []
        self.sources: list[Source] = []
        self.owners: list[Owner] = []

    def __len__(self) -> int:
        return len(self.sources)

    def add(self, image: np.ndarray, source: Source, owner: Owner) -> None:
        """Add an image (C, S, S) uint8, its file, and what the file says of its owner."""
        self.thumbnails.append(thumbnail(image))
        self.sources.append(source)
        self.owners.append(owner)

    def groups(self, named: np.ndarray, patients: bool, notes: Counter[str]) -> np.ndarray:
        """Return `named` (N,) with near duplicates put into one group; `notes` says how many.

        `patients`: the data set's layout names patients, so only copies are joined.
        """
        groups, merged, chained = merge(np.array(self.thumbnails), named, patients)
        if chained:
            notes[
                "groups of pictures that are nearly all alike: "
                "held-out ones are honest only with a folder per patient"
            ] = len(np.unique(groups))
        notes["images with a near duplicate in another group, put into one group with it"] = merged
        return groups

    def named(self, notes: Counter[str]) -> np.ndarray:
        """Return each image's group by places and DICOM alone, (N,) int; `notes` says how.

        PatientID decides unless it is blank or the same in all DICOM files. A folder or a study
        without one is taken for one patient's; one with a single PatientID is that patient's.
        """
        owners = self.owners
        if not self._patient_decides():
            owners = [owner._replace(patient="") for owner in owners]
        owners = _completed(self._with_telling_studies(owners))
        names = [_name(source, owner) for source, owner in zip(self.sources, owners, strict=True)]
        groups = np.unique(np.array(names, dtype=str), return_inverse=True)[1]
        groups = self._joined_by_study(groups, owners, notes)
        return self._joined_by_folder(groups, owners, notes)

    def _patient_decides(self) -> bool:
        """Return whether DICOM files bear several PatientIDs, or are one file or folder."""
        of_dicom = [
            (source.group, owner.patient)
            for source, owner in zip(self.sources, self.owners, strict=True)
            if owner.is_dicom
        ]
        places, patients = {place for place, _ in of_dicom}, {name for _, name in of_dicom}
        return len(patients) > 1 or len(places) == 1

    def _with_telling_studies(self, owners: list[Owner]) -> list[Owner]:
        """Return `owners` without the studies that say nothing of who is in a picture.

        One study in all folders, or of many PatientIDs, is what some anonymisers write.
        """
        folders, patients_of = set(), defaultdict(set)
        for source, owner in zip(self.sources, owners, strict=True):
            if owner.is_dicom and source.in_folder:
                folders.add(source.group)
            if owner.study:
                patients_of[owner.study] |= {owner.patient} - {""}
        patients = set().union(*patients_of.values())
        if len(patients_of) == 1 and (len(folders) > 1 or len(patients) > 1):
            return [owner._replace(study="") for owner in owners]
        many = {study for study, of_study in patients_of.items() if len(of_study) > STUDIES}
        return [owner._replace(study="") if owner.study in many else owner for owner in owners]

    def _joined_by_study(
        self, groups: np.ndarray, owners: list[Owner], notes: Counter[str]
    ) -> np.ndarray:
        """Return `groups` (N,) with images of one study made one."""
        self._note_nameless(owners, notes)
        return _joined_to_patients(groups, owners, [o.study for o in owners], "studies", notes)

    def _note_nameless(self, owners: list[Owner], notes: Counter[str]) -> None:
        """Note what stands in for a PatientID where DICOM files have none that counts."""
        dicom = [pair for pair in zip(self.sources, owners, strict=True) if pair[1].is_dicom]
        have_one = {source.group for source, owner in dicom if owner.patient}
        nameless = [(source, owner.study) for source, owner in dicom if not owner.patient]
        folders = {source.group for source, _ in nameless if source.in_folder} - have_one
        alone = [(source, study) for source, study in nameless if not source.in_folder]
        known = {owner.study for _, owner in dicom if owner.patient}
        why = "taken for patients: PatientID is blank or one for all DICOM files"
        notes[f"folders {why}"] = len(folders)
        notes[f"studies or series {why}"] = len({study for _, study in alone if study} - known)
        notes[
            "DICOM files that say neither patient nor study, each a group of its own: "
            "use a folder per patient, or give --patient REGEX"
        ] = len({source.path for source, study in alone if not study})

    def _joined_by_folder(
        self, groups: np.ndarray, owners: list[Owner], notes: Counter[str]
    ) -> np.ndarray:
        """Return `groups` (N,) with a folder's images made one, where its DICOM files are one's.

        Files without a PatientID, of other kinds too, are then that patient's.
        """
        folders = [source.group if source.in_folder else "" for source in self.sources]
        return _joined_to_patients(groups, owners, folders, "folders", notes)


def _completed(owners: list[Owner]) -> list[Owner]:
    """Return `owners` where a file without a PatientID has that of its study, if there is one."""
    of_study = {owner.study: owner.patient for owner in owners if owner.study and owner.patient}
    return [
        owner if owner.patient else owner._replace(patient=of_study.get(owner.study, ""))
        for owner in owners
    ]


def _joined_to_patients(
    groups: np.ndarray, owners: list[Owner], places: list[str], kind: str, notes: Counter[str]
) -> np.ndarray:
    """Return `groups` (N,) with each place made one, if it is one patient's.

    `places` are each image's folder or study, "" where it has none, and `kind` says which. A place
    with one PatientID is that patient's. Some anonymisers give a patient another ID in each study,
    and hospitals spell one ID in several ways: a place with a few is taken for one patient's, too.
    Where folders have many IDs, or would be few and large groups, they are classes or hospitals,
    and PatientID counts.
    """
    patients_in: dict[str, set[str]] = defaultdict(set)
    for place, owner in zip(places, owners, strict=True):
        if place and owner.patient:
            patients_in[place].add(owner.patient)
    several = {place for place, patients in patients_in.items() if len(patients) > 1}
    groups = _joined(groups, [place if place not in several else "" for place in places])
    if not several:
        return groups
    joined = _joined(groups, places)
    if kind == "folders":
        many = sum(map(len, patients_in.values())) > STUDIES * len(patients_in)
        if many or few_and_large(joined):
            notes[
                "folders hold more than one PatientID, which counts: "
                "if a folder is one patient's, give --patient REGEX"
            ] = len(several)
            return groups
    notes[f"{kind} hold more than one PatientID, and each is taken for one patient"] = len(several)
    return joined


def few_and_large(groups: np.ndarray) -> bool:
    """Return whether groups (N,) int, counted from 0, are too few and too large for patients."""
    sizes = np.bincount(groups)
    return len(groups) > FEW and len(sizes) < FEW and sizes.max() > LARGE * len(groups)


def _name(source: Source, owner: Owner) -> str:
    """Return what images of one group have in common before groups are joined."""
    if owner.patient:
        return f"patient {owner.patient}"
    if owner.study and not source.in_folder:
        return f"study {owner.study}"
    return source.group


def _joined(groups: np.ndarray, values: list[str]) -> np.ndarray:
    """Return `groups` (N,) with those made one whose images share a value; "" is none."""
    first: dict[str, int] = {}
    pairs = [
        (first.setdefault(value, group), group)
        for group, value in zip(groups.tolist(), values, strict=True)
        if value
    ]
    return connected(groups, np.array(pairs, int).reshape(-1, 2).T)
