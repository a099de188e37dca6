"""What can go wrong in the compute engine, sorted by what the caller does about it.

KernelError
  ModelUnavailable       the weights are not here or cannot be read: fetch them
    InvalidModelFile     ... they are damaged, hostile, or of a kind this engine does not know
  InvalidInput           the job is at fault: undecodable audio, a prompt that is too long
  DeviceUnavailable      no such device, or it cannot be used: choose another
  LaunchError            a device failed while it computed; the worker should be replaced
"""


class KernelError(Exception):
    """Base of everything that this package raises on purpose."""


class ModelUnavailable(KernelError):
    """The weights are missing or unreadable."""


class InvalidModelFile(ModelUnavailable):
    """A model file breaks its format, or needs something this engine does not have."""


class InvalidInput(KernelError):
    """What the customer sent cannot be worked on; nobody else could do so either."""


class DeviceUnavailable(KernelError):
    """The device does not exist here, or its driver or libraries are missing."""


class LaunchError(KernelError):
    """A device reported an error while it computed."""
