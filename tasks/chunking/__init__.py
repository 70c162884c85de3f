"""How documents are normalised and cut; `tasks.chunking.cut` is the stage."""
