"""`trawl completion`: commands and options by the Tab key."""

from typing import Literal

from .app import app, load_commands


def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script that lets a shell complete Trawl's commands and options.

    ```
    source <(trawl completion bash)
    trawl completion zsh > ~/.zfunc/_trawl
    trawl completion fish > ~/.config/fish/completions/trawl.fish
    ```

    Parameters
    ----------
    shell
        The shell. For bash, the first line above belongs into ~/.bashrc.
    """
    load_commands()
    print(app.generate_completion(prog_name="trawl", shell=shell))
