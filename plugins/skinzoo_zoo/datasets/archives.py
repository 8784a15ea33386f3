"""Files of the official archives.

Addresses and checksums were looked up in public sources and could not be tried where this was written, which
has no access to the archives. Dataverse and Zenodo publish MD5 sums of their files; the ISIC archive does
not, so its sums are those that independent users of the files report alike. A file without a sum is still
checked for its size, as the server states it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from skinzoo.api import RemoteFile

_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
_ISIC = "https://isic-archive.s3.amazonaws.com/challenges"
_ZENODO = "https://zenodo.org/records/10519652/files"


def _isic(year: int, name: str, checksum: str = "") -> RemoteFile:
    return RemoteFile(
        name=name, url=f"{_ISIC}/{year}/{name}", checksum=checksum, unpack=name.endswith(".zip")
    )


def _medmnist(name: str, checksum: str) -> RemoteFile:
    return RemoteFile(name=name, url=f"{_ZENODO}/{name}?download=1", checksum=checksum)


ARCHIVES: Mapping[str, tuple[RemoteFile, ...]] = MappingProxyType(
    {
        # doi:10.7910/DVN/DBW86T, version 4. Without `format=original` Dataverse sends the metadata as its own
        # tab file, which the published sum does not fit.
        "ham10000": (
            RemoteFile(
                name="HAM10000_metadata.csv",
                url=f"{_DATAVERSE}/4338392?format=original",
                checksum="md5:8f85fb1aa29d80a2797247e434deb79d",
                size=690_218,
            ),
            RemoteFile(
                name="HAM10000_images_part_1.zip",
                url=f"{_DATAVERSE}/3172585",
                checksum="md5:4639bfa73ab251610530a97c898e6e46",
                size=1_366_522_108,
                unpack=True,
            ),
            RemoteFile(
                name="HAM10000_images_part_2.zip",
                url=f"{_DATAVERSE}/3172584",
                checksum="md5:da43d6cc50f6613013be07e8986b384b",
                size=1_403_566_547,
                unpack=True,
            ),
        ),
        # Age and sex lie in the archives of the images.
        "isic2017": (
            _isic(2017, "ISIC-2017_Training_Part3_GroundTruth.csv", "md5:0cb4add57c65c22ca1a1cb469ad1f0c5"),
            _isic(2017, "ISIC-2017_Validation_Part3_GroundTruth.csv", "md5:8d4826a76adcd8fb928ca52a23ebae4c"),
            _isic(2017, "ISIC-2017_Test_v2_Part3_GroundTruth.csv", "md5:9e957b72a0c4f9e0d924889fd03b36ed"),
            _isic(2017, "ISIC-2017_Training_Data.zip", "md5:a14a7e622c67a358797ae59abb8a0b0c"),
            _isic(2017, "ISIC-2017_Validation_Data.zip", "md5:8d6419d942112f709894c0d82f6c9038"),
            _isic(2017, "ISIC-2017_Test_v2_Data.zip", "md5:5f6a0b5e1f2972bd1f5ea02680489f09"),
        ),
        "isic2018": (
            _isic(2018, "ISIC2018_Task3_Training_GroundTruth.zip"),
            _isic(2018, "ISIC2018_Task3_Training_LesionGroupings.csv"),
            _isic(2018, "ISIC2018_Task3_Training_Input.zip"),
            _isic(2018, "ISIC2018_Task3_Validation_GroundTruth.zip"),
            _isic(2018, "ISIC2018_Task3_Validation_Input.zip"),
            _isic(2018, "ISIC2018_Task3_Test_GroundTruth.zip"),
            _isic(2018, "ISIC2018_Task3_Test_Input.zip"),
        ),
        "isic2019": (
            _isic(2019, "ISIC_2019_Training_GroundTruth.csv"),
            _isic(2019, "ISIC_2019_Training_Metadata.csv"),
            _isic(2019, "ISIC_2019_Training_Input.zip"),
            _isic(2019, "ISIC_2019_Test_GroundTruth.csv"),
            _isic(2019, "ISIC_2019_Test_Metadata.csv"),
            _isic(2019, "ISIC_2019_Test_Input.zip"),
        ),
        # record 10519652 (MedMNIST+), sums as the package `medmnist` 3 lists them.
        "dermamnist": (
            _medmnist("dermamnist.npz", "md5:0744692d530f8e62ec473284d019b0c7"),
            _medmnist("dermamnist_64.npz", "md5:b70a2f5635c6199aeaa28c31d7202e1f"),
            _medmnist("dermamnist_128.npz", "md5:2defd784463fa5243564e855ed717de1"),
            _medmnist("dermamnist_224.npz", "md5:8974907d8e169bef5f5b96bc506ae45d"),
        ),
        # The authors hand PH2 out as a RAR file from their own page, which has no stable direct address.
        "ph2": (),
    }
)
