"""How a process ended, in words."""

# Windows' NTSTATUS values, of which the system makes the exit code of a process that it ends (ntstatus.h).
_ENDS = {
    0xC0000005: "crashed: it used memory that is not its own",  # ACCESS_VIOLATION
    0xC0000006: "crashed: a file that it had mapped could not be read",  # IN_PAGE_ERROR
    0xC0000017: "was ended for lack of memory",  # NO_MEMORY
    0xC000001D: "crashed: it used an instruction that this processor lacks",  # ILLEGAL_INSTRUCTION
    0xC0000094: "crashed: it divided by zero",  # INTEGER_DIVIDE_BY_ZERO
    0xC00000FD: "crashed: its stack was full",  # STACK_OVERFLOW
    0xC000012D: "was ended for lack of memory: the page file is too small",  # COMMITMENT_LIMIT
    0xC0000135: "could not start: a DLL is missing",  # DLL_NOT_FOUND
    0xC0000139: "could not start: a DLL is of another version",  # ENTRYPOINT_NOT_FOUND
    0xC000013A: "was ended from its console, or when the user logged off",  # CONTROL_C_EXIT
    0xC0000142: "could not start: a DLL refused to",  # DLL_INIT_FAILED
    0xC0000374: "crashed: its memory was damaged",  # HEAP_CORRUPTION
    0xC0000409: "ended itself after an internal error",  # STACK_BUFFER_OVERRUN, which abort() reports, too
}


def how_it_ended(code: int | None) -> str:
    """What the exit code of a child tells, to go on a sentence.

    Negative: the signal that ended it, or one of Windows' codes taken for a signed number.
    """
    if code is None:
        return "has ended"
    unsigned = code & 0xFFFFFFFF
    if unsigned in _ENDS:
        return f"{_ENDS[unsigned]} (code 0x{unsigned:08X})"
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
