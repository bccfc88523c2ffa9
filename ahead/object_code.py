"""Kernels to object code of a machine: what numba made of them, in LLVM's language, linked and compiled once more.

Numba compiles for the machine it runs on. What it hands to LLVM is the same for all of 64 bits whose lowest byte comes
first, so for another one LLVM is told another target. Only documented functions of numba and llvmlite are used.
"""

import re
from collections.abc import Mapping
from typing import Any

import llvmlite.binding as llvm
from numba import types

from .targets import Target

_OPTIMIZATION = 3


def intermediate(entries: Mapping[str, Any], arguments: Mapping[str, int], prefix: str) -> str:
    """All entries (kernels, which take so many numbers of 64 bits) as one module in LLVM's language, in which
    they alone can be called from outside, as `prefix` and their name; so all else that is not used can be left out."""
    whole, outside = None, {}
    for name, entry in entries.items():
        signature = (types.int64,) * arguments[name]
        kernel = entry.dispatcher
        kernel.compile(signature)
        symbol = kernel.overloads[signature].fndesc.llvm_func_name
        module = llvm.parse_assembly(kernel.inspect_llvm(signature))
        for one in [*module.functions, *module.global_variables]:
            if not one.is_declaration:
                # What several entries use is in each of their modules, and the same.
                one.linkage = "external" if one.name == symbol else "linkonce_odr"
        outside[symbol] = prefix + name
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    if whole is None:
        raise ValueError("no entries")
    for one in [*whole.functions, *whole.global_variables]:
        if one.name in outside:
            one.name = outside[one.name]
        elif not one.is_declaration:
            one.linkage = "internal"
    return str(whole)


def object_code(text: str, target: Target) -> tuple[bytes, str]:
    """(What a linker takes, the same in the assembler's language) for a target, of a module of `intermediate`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.processor, features=target.features, opt=_OPTIMIZATION, reloc="pic", codemodel="default"
    )
    # Those of the machine that numba runs on.
    text = re.sub(r"^target (triple|datalayout) = .*\n", "", text, flags=re.MULTILINE)
    head = f'target triple = "{target.triple}"\ntarget datalayout = "{machine.target_data}"\n'
    module = llvm.parse_assembly(head + text)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=_OPTIMIZATION)
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module), machine.emit_assembly(module)
