"""The object store under a lake: a folder or a bucket, with the few verbs that Trawl needs.

Objects are written once (`create`), replaced (`put`) or replaced only if nobody else did meanwhile (`swap`). A bucket
does the last by conditional PUT on the ETag; a folder cannot, so there a file lock makes it one step.
"""

import fcntl
import io
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import duckdb
import obstore
import pyarrow as pa
from deltalake.exceptions import DeltaError
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError
from obstore.store import LocalStore, ObjectStore, S3Store

from trawl.model.config import check_base_url
from trawl.model.errors import ConfigurationError, LakeError


class Conflict(Exception):
    """Somebody else wrote the object first."""


class Store:
    """The objects below one URL: `s3://bucket/prefix`, `file:///folder` or a plain path.

    S3 is configured by the usual environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION.
    Where two stores are not the same one's, those of the second have a `prefix` before their names.
    """

    def __init__(self, url: str | os.PathLike[str], *, prefix: str = "") -> None:
        text = os.fspath(url)
        scheme, _, rest = text.rpartition("://")
        self.folder: Path | None = None
        if scheme == "s3":
            bucket, below = _bucket_of(text, rest)
            self.url = f"s3://{bucket}/{below}".rstrip("/")
            self.objects: ObjectStore = _bucket(bucket, below, prefix)
        elif scheme in {"", "file"}:
            self.folder = local_folder(_path_of(text, rest) if scheme else text)
            self.url = str(self.folder)
            if _ENCODED.search(self.url):
                raise ConfigurationError(
                    f"{self.url}: Delta would decode the % in it", remedy="choose another folder with --lake"
                )
            with faults(self.url):
                self.objects = LocalStore(self.folder, mkdir=False) if self.folder.is_dir() else None  # type: ignore[assignment]
        else:
            raise ConfigurationError(f"{text!r} is not a lake: {scheme}:// is not supported", remedy=_FORMS)

    def make(self) -> None:
        """Make the folder, if it is one and not there yet."""
        if self.folder is not None:
            with faults(self.url):
                self.folder.mkdir(parents=True, exist_ok=True)
                self.objects = LocalStore(self.folder)

    @property
    def exists(self) -> bool:
        """Whether there is anything to read from; a bucket is asked only when it is read."""
        return self.folder is None or self.folder.is_dir()

    def get(self, path: str) -> bytes | None:
        """The object's content, or None where there is none."""
        found = self.get_tagged(path)
        return None if found is None else found[0]

    def get_tagged(self, path: str) -> tuple[bytes, str] | None:
        """The object's content and the tag that `swap` wants, or None."""
        if not self.exists:
            return None
        with faults(self.url):
            try:
                found = obstore.get(self.objects, path)
                return bytes(found.bytes()), found.meta["e_tag"] or ""
            except (NotFoundError, FileNotFoundError) as error:
                _refuse_missing_bucket(error, self.url)
                return None

    def create(self, path: str, content: bytes | memoryview) -> None:
        """Write an object that is not there yet. Raises Conflict where another one is."""
        with faults(self.url):
            try:
                obstore.put(self.objects, path, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if self.get(path) != content:  # else it is our own: the answer was lost, and it was sent again
                    raise Conflict(path) from None

    def put(self, path: str, content: bytes) -> None:
        """Write or replace an object."""
        with faults(self.url):
            obstore.put(self.objects, path, content)

    def open(self, path: str) -> IO[bytes]:
        """A large object to read parts of."""
        with faults(self.url):
            return (self.folder / path).open("rb") if self.folder else io.BufferedReader(_Ranged(self.objects, path))

    def upload(self, path: str, file: IO[bytes]) -> None:
        """Write or replace a large object from a file, in parts."""
        with faults(self.url):
            obstore.put(self.objects, path, file)

    def swap(self, path: str, content: bytes, tag: str | None) -> str:
        """Replace an object if its tag is still `tag` (None: if it is not there). The new tag, or Conflict."""
        if self.folder is not None:
            return self._swap_file(path, content, tag)
        with faults(self.url):
            try:
                mode: Any = "create" if tag is None else {"e_tag": tag}
                return obstore.put(self.objects, path, content, mode=mode, use_multipart=False)["e_tag"] or ""
            except (AlreadyExistsError, PreconditionError):
                raise Conflict(path) from None

    def delete(self, path: str) -> None:
        """Remove an object; that it is not there is no error."""
        with faults(self.url):
            try:
                obstore.delete(self.objects, path)
            except (NotFoundError, FileNotFoundError):
                return

    def prune(self, prefix: str) -> None:
        """Remove the empty folder that deleted objects leave behind; a bucket has none."""
        if self.folder is not None:
            with suppress(OSError):
                (self.folder / prefix).rmdir()

    def drop_folder(self, prefix: str) -> None:
        """Remove the folder that deleted objects leave behind, and what was half-written in it; a bucket has none."""
        if self.folder is not None:
            shutil.rmtree(self.folder / prefix, ignore_errors=True)

    def size_of(self, path: str, end: bytes) -> int | None:
        """The size of an object that ends so; None where it is not there or does not: a power cut leaves such files."""
        with faults(self.url):
            try:
                found = obstore.get(self.objects, path, options={"range": {"suffix": len(end)}})
                return found.meta["size"] if bytes(found.bytes()) == end else None
            except (NotFoundError, FileNotFoundError):
                return None

    def settle(self, paths: Iterable[str]) -> None:
        """Return once these objects would outlive a power cut. A bucket has them safe; a folder's are in memory yet."""
        if self.folder is None:
            return
        with faults(self.url):
            files = [self.folder / path for path in paths]
            folders = {parent for file in files for parent in file.parents if parent.is_relative_to(self.folder)}
            for place in (*files, *folders):
                handle = os.open(place, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)

    def scan(self, prefix: str) -> Iterator[dict[str, Any]]:
        """The objects below a prefix: `path`, `size`, `last_modified`."""
        if self.exists:
            with faults(self.url):
                for chunk in obstore.list(self.objects, prefix):
                    yield from chunk  # type: ignore[misc]

    def halves(self, prefix: str) -> Iterator[dict[str, Any]]:
        """What killed writers left half-written below a prefix of a folder, as `scan` tells it; a bucket shows none."""
        if self.folder is not None:
            for file in (self.folder / prefix).rglob("*#*"):
                if re.fullmatch(r".*#\d+", file.name):
                    found = file.stat()
                    yield {
                        "path": str(file.relative_to(self.folder)),
                        "size": found.st_size,
                        "last_modified": datetime.fromtimestamp(found.st_mtime, UTC),
                    }

    def delete_half(self, path: str) -> None:
        """Remove what `halves` found."""
        assert self.folder is not None
        with faults(self.url):
            (self.folder / path).unlink(missing_ok=True)

    def folders(self, prefix: str = "") -> list[str]:
        """The names one level below a prefix that have something below them."""
        if not self.exists:
            return []
        with faults(self.url):
            found = obstore.list_with_delimiter(self.objects, prefix or None)
            return sorted(path.rsplit("/", 1)[-1] for path in found["common_prefixes"])

    def _swap_file(self, path: str, content: bytes, tag: str | None) -> str:
        assert self.folder is not None
        file = self.folder / path
        with faults(self.url):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.with_name(f".{file.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                found = self.get_tagged(path)
                if (found and found[1]) != tag:
                    raise Conflict(path)
                obstore.put(self.objects, path, content)
                return obstore.head(self.objects, path)["e_tag"] or ""


_FORMS = "use a folder or s3://bucket/prefix"
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STRANGE = re.compile(r"[%?#]|/\.{0,2}/")  # what obstore and Delta read differently, or not at all


def local_folder(path: str) -> Path:
    """The folder of a path, which need not be there. Raises ConfigurationError for what can be none."""
    if not path or _UNSEEN.search(path):
        raise ConfigurationError(
            f"{path!r} is not a folder: it is empty, or contains invisible characters", remedy="check the path"
        )
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # ~nobody
        raise ConfigurationError(f"{path!r} is not a folder: there is no such user", remedy="check the path") from None


def _path_of(url: str, rest: str) -> str:
    """The path in a file:// address."""
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ConfigurationError(
            f"{url!r} names no folder of this machine", remedy="write file:///folder, or the folder"
        )
    return f"/{path}"


def _bucket_of(url: str, rest: str) -> tuple[str, str]:
    """Bucket and prefix in an s3:// address."""
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(f"{url!r} names no bucket", remedy="write s3://bucket/prefix")
    if prefix and (_UNSEEN.search(prefix) or _STRANGE.search(f"/{prefix}/")):
        raise ConfigurationError(
            f"{url!r} names no prefix",
            remedy="write s3://bucket/prefix, without %, ?, #, and parts that are empty or only dots",
        )
    return bucket, prefix


def _bucket(bucket: str, below: str, variables: str) -> S3Store:
    for name, value in os.environ.items():
        if name.removeprefix(variables).startswith("AWS_") and _UNSEEN.search(value):
            raise ConfigurationError(
                f"{name} contains invisible characters", remedy="look for a line break, for example at its end"
            )
    config = _s3_config(variables)
    try:
        return S3Store(bucket, prefix=below or None, config=config, client_options=_CLIENT, retry_config=_RETRY)
    except (BaseError, ValueError) as error:
        reason = " ".join(_NOISE.sub("", str(error)).split())
        raise ConfigurationError(f"s3://{bucket}: {reason}", remedy="correct that AWS_ variable") from None


class _Ranged(io.RawIOBase):
    """An object as a seekable file; each read is a range request."""

    def __init__(self, objects: ObjectStore, path: str) -> None:
        self._file = obstore.open_reader(objects, path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        content = bytes(self._file.read(len(buffer)))
        buffer[: len(content)] = content
        return len(content)


def storage_options(store: Store) -> dict[str, str]:
    """What delta-rs needs beyond the environment to reach the same store."""
    return {} if store.folder is not None else _s3_config() | {"timeout": "60s"}


_CLIENT: Any = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
_RETRY: Any = {"max_retries": 5}


def _s3_config(prefix: str = "") -> Any:
    endpoint = _endpoint(prefix)
    config = {"aws_region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"}
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if prefix and (found := os.environ.get(prefix + name)):
            config[name.lower()] = found
    if endpoint:
        config["aws_endpoint"] = endpoint
    if endpoint.startswith("http://"):
        config["aws_allow_http"] = "true"
    return config


def _endpoint(prefix: str) -> str:
    for name in (*([f"{prefix}AWS_ENDPOINT_URL"] if prefix else []), "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if (found := os.environ.get(name)) is not None:
            try:
                check_base_url(found)
            except ValueError as error:
                raise ConfigurationError(f"{name}: {error}", remedy="give an address, or unset it") from None
            if found.isascii():
                return found
            raise ConfigurationError(f"{name}: {found!r} is not ASCII", remedy="write the host in its xn-- form")
    return ""


FAULTS = (BaseError, DeltaError, duckdb.Error, pa.ArrowException, OSError)
"""What the libraries raise where the storage fails, or where what it holds is damaged."""


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Storage faults as LakeErrors that name the lake."""
    try:
        yield
    except FAULTS as error:
        raise explain(error, url) from None


def _refuse_missing_bucket(error: Exception, url: str) -> None:
    if "NoSuchBucket" in str(error):
        raise explain(error, url) from None


def explain(error: Exception, url: str) -> LakeError:
    """The LakeError for a fault of the storage, with the remedy where the fault is a known one."""
    text = " ".join(_NOISE.sub("", str(error)).split())
    for mark, what, remedy in _KNOWN_FAULTS:
        if mark.lower() in text.lower():
            return LakeError(f"the lake {url}: {what}", remedy=remedy)
    file = _FILE.search(text)
    if file and any(mark in text for mark in _LOST_FILES):
        return damaged_file(file[0])
    return LakeError(f"the lake {url}: {text[:400]}")


def damaged_file(path: str) -> LakeError:
    """A file of the log that is not what was committed."""
    return LakeError(f"a file of the log is gone or damaged: {path}", remedy=LOST_FILE)


_NOISE = re.compile(r"\x1b\[[0-9;]*m|\s0: <unknown>.*| Debug source:.*", re.DOTALL)
_FILE = re.compile(r"(?:/[^'\":]*)?kind=[^'\":]*\.parquet")
LOST_FILE = (
    "trawl check --live names every such file; put it back from a backup, or crawl into a new lake: what the API still "
    "has comes again"
)


_ILL = ("500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout")
_KNOWN_FAULTS = (
    (
        "max_temp_directory_size",
        "its temporary folder is full",
        "free some space there, or set TMPDIR to another folder",
    ),
    (
        "trawl-duckdb",
        "its temporary folder cannot be written",
        "free some space there, or set TMPDIR to another folder",
    ),
    ("No space left", "the disk is full", "free some space and run again: finished work is kept"),
    ("Permission denied", "no permission to read or write there", "check the folder's owner and mode"),
    ("Read-only file system", "the file system is read-only", "choose another folder with --lake"),
    ("NoSuchBucket", "the bucket does not exist", "create it first"),
    ("InvalidAccessKeyId", "the access key is unknown", "check AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "the secret key is wrong", "check AWS_SECRET_ACCESS_KEY"),
    ("AccessDenied", "access denied", "check the key's rights on the bucket"),
    ("CredentialsNotLoaded", "no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("169.254.169.254", "no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (
        "error sending request",
        "the storage does not answer",
        "check AWS_ENDPOINT_URL and that the server runs",
    ),
    ("No table metadata or protocol", "the first entry of the log (_delta_log) is damaged", LOST_FILE),
    ("Json error", "an entry of the log (_delta_log) is damaged", LOST_FILE),
    ("Not a directory", "there is a file where a folder is needed", "choose another folder with --lake"),
    ("File exists", "there is a file where a folder is needed", "choose another folder with --lake"),
    *((ill, f"the storage answers {ill}", "repair it, then run again: finished work is kept") for ill in _ILL),
)
_LOST_FILES = (
    *("agic bytes", "too small to be a Parquet", "Requested range was invalid"),
    *("No files found that match", "not found"),
)
