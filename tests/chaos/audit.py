"""Triggers that note what must never happen to a task's row, whoever writes it."""

#: Notes every change of a row that had ended, but for an operator's: those begin another run.
AUDIT = """
CREATE TABLE audit (id text, was text, became text, noted_at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION note_overwrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (id, was, became) VALUES (OLD.id, OLD.state, NEW.state);
    RETURN NEW;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON cq_task FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL AND NEW.run = OLD.run)
    EXECUTE FUNCTION note_overwrite();
"""
