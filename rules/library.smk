# The library: that of this checkout. Where only the files of the workflow are fetched, the installed package.
import re

HERE = workflow.current_basedir
IS_CHECKOUT = isinstance(HERE, os.PathLike)


def part(path):
    """A file of this repository, or a fetched copy of it."""
    return Path(HERE).resolve().parent / path if IS_CHECKOUT else Path(workflow.source_path(f"../{path}"))


def address():
    """Where pip finds this revision."""
    if hasattr(HERE, "host"):
        return f"git+https://{HERE.host}/{HERE.repo}@{HERE.ref}"
    return "the same repository"


def library():
    """The directory of the package. The program ends with a line where it is not that of this workflow."""
    if IS_CHECKOUT:
        sys.path.insert(0, str(part("lib")))
    version = re.search(r'__version__ = "(.*)"', part("lib/certifuse/__init__.py").read_text(encoding="utf-8"))[1]
    try:
        import certifuse
    except ImportError:
        found = "none"
    else:
        directory = Path(certifuse.__file__).resolve().parent
        if certifuse.__version__ == version and (not IS_CHECKOUT or directory == part("lib/certifuse")):
            return directory
        found = f"{certifuse.__version__} in {directory}"
    if IS_CHECKOUT:
        sys.exit(f"certifuse: expected the library in {part('lib')}, found {found}: use one copy in a workflow")
    mend = f'pip install "certifuse[workflow] @ {address()}"'
    sys.exit(f"certifuse: expected the package of version {version}, found {found}: {mend}")


LIBRARY = library()
