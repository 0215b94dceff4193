"""What the host says of itself on its pages and in generated classes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    service_name: str = "BokaMera.API.Host"
    dto_namespace: str = "BokaMera.API.ServiceModel.Dtos"
    generator_version: str = "10.0"


HOST = Host()
