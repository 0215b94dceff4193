"""What C#, VB.NET and F# have in common: options that speak of .NET, and what a file opens before its types."""

from typing import Final

from kvot.metadata.model import Attribute
from kvot.metadata.options import Options

OPTIONS: Final = {
    "AddDataContractAttributes": "False",
    "MakeDataContractsExtensible": "False",
    "AddIndexesToDataMembers": "False",
    "AddGeneratedCodeAttributes": "False",
    "AddImplicitVersion": "",
    "ExcludeNamespace": "False",
    "AddDefaultXmlNamespace": "",
    "GlobalNamespace": "",
    "AddNamespaces": "",
    "DefaultNamespaces": "System,System.IO,System.Collections,System.Collections.Generic,System.Runtime.Serialization,"
    "ServiceStack,ServiceStack.DataAnnotations",
}

_OF_GENERATED_CODE: Final = "System.CodeDom.Compiler"


def opened(options: Options, *own: str) -> list[str]:
    """The namespaces that a file opens: the usual ones, `own` where a language needs it, and those asked for."""
    generated = [_OF_GENERATED_CODE] if options.on("AddGeneratedCodeAttributes") else []
    return [*options.names("DefaultNamespaces"), *generated, *own, *options.names("AddNamespaces")]


def contract_namespace(options: Options, namespace: str) -> list[Attribute]:
    """The attribute of the assembly that says the XML namespace of its data contracts, where both are asked for."""
    address = options.text("AddDefaultXmlNamespace")
    if not address or not options.on("AddDataContractAttributes"):
        return []
    return [Attribute("ContractNamespace", (("", address), ("ClrNamespace", namespace)))]
