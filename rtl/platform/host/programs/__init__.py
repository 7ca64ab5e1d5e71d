"""Control of programs: descriptors checked and carried out, images copied."""
