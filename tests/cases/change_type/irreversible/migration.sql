-- concertina:irreversible reason: nobody wants the digits back
ALTER TABLE rates ALTER rate TYPE numeric(8,2);
