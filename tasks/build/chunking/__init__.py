"""How documents are normalised and cut; `tasks.build.chunking.cut` is the stage."""
