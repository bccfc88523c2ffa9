"""What pyproject.toml cannot say: a wheel with compiled kernels is for one version of Python and one machine."""

from pathlib import Path

from setuptools import Distribution, setup


class WithKernels(Distribution):  # type: ignore[misc]
    """Of ttrace, with the kernels that `python -m ttrace.ahead` has compiled, if it has."""

    def has_ext_modules(self) -> bool:
        """Whether the wheel is for this Python and machine only."""
        return any((Path(__file__).parent / "kernels" / "compiled").glob("*.so"))


setup(distclass=WithKernels)
