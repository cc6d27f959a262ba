-- The whole number in one field of a configuration, or NULL where the field is absent.
-- It stays numeric, so that no size of number ends in an overflow; `highest` NULL means no upper bound.
CREATE OR REPLACE FUNCTION configuration_number(config jsonb, field text, lowest int, highest int)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  value jsonb := NULLIF(configuration_number.config -> configuration_number.field, 'null');
  number numeric;
BEGIN
  IF value IS NULL THEN
    RETURN NULL;
  END IF;
  IF jsonb_typeof(value) = 'number' THEN
    number := value::numeric;
  END IF;
  IF number IS NULL
    OR number <> trunc(number)
    OR number < configuration_number.lowest
    OR number > configuration_number.highest
  THEN
    RAISE EXCEPTION '/%: must be a whole number % %, not %',
      configuration_number.field,
      CASE WHEN configuration_number.highest IS NULL THEN 'of at least' ELSE 'from' END,
      concat_ws(' to ', configuration_number.lowest, configuration_number.highest),
      left(value::text, 60)
      USING ERRCODE = '22023';
  END IF;
  RETURN number;
END;
$$;
