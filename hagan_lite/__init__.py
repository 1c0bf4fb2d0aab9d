"""hagan_lite: a teaching and reproduction kit for HAGAN (Ju et al.), a GAN for medical images."""

from hagan_lite.system.runtime import keep_heap

keep_heap()

__version__ = "0.1.0"
