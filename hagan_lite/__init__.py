"""hagan_lite: a teaching and reproduction kit for HAGAN (Ju et al.), a GAN for medical images."""

__version__ = "0.1.0"
